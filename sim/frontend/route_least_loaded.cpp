// The replica with the fewest requests in flight, by the router's own count; the first of equals
// after the one chosen last, so that ties go round. Dynamo's least-loaded.
#include "sim/base/registry.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class LeastLoaded final : public Router {
 public:
  using Options = NoOptions;
  LeastLoaded(const Options&, const Context&) {}
  Decision route(const Ask&, const ClusterView& view) override {
    const std::size_t best = least_in_flight(view, last_, [](std::size_t) { return true; });
    if (best != kNoReplica) last_ = best;
    return to_replica(best);
  }

 private:
  std::size_t last_ = 0;
};

const Register<Router, LeastLoaded> kRegistered("least-loaded", "Fewest requests in flight.");

}  // namespace
}  // namespace kvsim
