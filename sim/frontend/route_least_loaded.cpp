// The replica with the fewest requests in flight, by the router's own count; the first of equals
// after the one chosen last, so that ties go round.
#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class LeastLoaded final : public Router {
 public:
  using Options = NoOptions;
  LeastLoaded(const Options&, const Context&) {}
  Decision route(const Ask&, const ClusterView& view) override {
    const std::size_t n = view.replicas.size();
    if (last_ >= n) last_ = 0;
    std::size_t best = (last_ + 1) % n;
    for (std::size_t i = 0, at = best; i < n; ++i, at = at + 1 == n ? 0 : at + 1)
      if (view.replicas[at].in_flight < view.replicas[best].in_flight) best = at;
    last_ = best;
    return {static_cast<std::int32_t>(best)};
  }

 private:
  std::size_t last_ = 0;
};

const Register<Router, LeastLoaded> kRegistered("least-loaded", "Fewest requests in flight.");

}  // namespace
}  // namespace kvsim
