// A replica at random: each equally likely, or the less loaded of two ("power of two choices",
// Mitzenmacher 2001), by the router's own count of requests in flight.
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class RandomRouter final : public Router {
 public:
  using Options = NoOptions;
  RandomRouter(const Options&, const Context& context)
      : rng_(stream(context.seed, "router/random")) {}
  Decision route(const Ask&, const ClusterView& view) override {
    return {static_cast<std::int32_t>(rng_.below(view.replicas.size()))};
  }

 private:
  Rng rng_;
};

class PowerOfTwo final : public Router {
 public:
  using Options = NoOptions;
  PowerOfTwo(const Options&, const Context& context)
      : rng_(stream(context.seed, "router/power-of-two")) {}
  Decision route(const Ask&, const ClusterView& view) override {
    const std::size_t n = view.replicas.size();
    const std::size_t a = rng_.below(n);
    if (n == 1) return {0};
    std::size_t b = rng_.below(n - 1);
    if (b >= a) ++b;
    const bool first = view.replicas[a].in_flight <= view.replicas[b].in_flight;
    return {static_cast<std::int32_t>(first ? a : b)};
  }

 private:
  Rng rng_;
};

const Register<Router, RandomRouter> kRandom("random", "A replica at random.");
const Register<Router, PowerOfTwo> kPowerOfTwo("power-of-two", "The less loaded of two at random.");

}  // namespace
}  // namespace kvsim
