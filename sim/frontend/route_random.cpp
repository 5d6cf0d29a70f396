// A replica at random, each equally likely.
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class RandomRouter final : public Router {
 public:
  using Options = NoOptions;
  RandomRouter(const Options&, const Context& context)
      : rng_(stream(context.seed, "router/random")) {}
  Decision route(const Ask&, const ClusterView& view) override {
    const std::size_t n = count_ready(view);
    return to_replica(n == 0 ? kNoReplica : nth_ready(view, rng_.below(n)));
  }

 private:
  Rng rng_;
};

const Register<Router, RandomRouter> kRegistered("random", "A replica at random.");

}  // namespace
}  // namespace kvsim
