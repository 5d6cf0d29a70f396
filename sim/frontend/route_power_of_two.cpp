// The less loaded of two replicas at random ("power of two choices", Mitzenmacher 2001), by the
// router's own count of requests in flight. Dynamo's power-of-two.
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class PowerOfTwo final : public Router {
 public:
  using Options = NoOptions;
  PowerOfTwo(const Options&, const Context& context)
      : rng_(stream(context.seed, "router/power-of-two")) {}
  Decision route(const Ask&, const ClusterView& view) override {
    const std::size_t n = count_ready(view);
    if (n == 0) return {Decision::kRefuse};
    const std::size_t one = rng_.below(n);
    if (n == 1) return to_replica(nth_ready(view, 0));
    std::size_t other = rng_.below(n - 1);
    if (other >= one) ++other;
    const std::size_t a = nth_ready(view, one);
    const std::size_t b = nth_ready(view, other);
    return to_replica(view.replicas[a].in_flight <= view.replicas[b].in_flight ? a : b);
  }

 private:
  Rng rng_;
};

const Register<Router, PowerOfTwo> kRegistered("power-of-two", "The less loaded of two at random.");

}  // namespace
}  // namespace kvsim
