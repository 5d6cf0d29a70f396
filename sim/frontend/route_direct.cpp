// The replica that the caller names (Dynamo's direct mode, for gateways that choose themselves). A
// request that names none, or one that is not ready, is refused: the real one answers with an
// error.
#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class Direct final : public Router {
 public:
  using Options = NoOptions;
  Direct(const Options&, const Context&) {}
  Decision route(const Ask& ask, const ClusterView& view) override {
    const bool exists =
        ask.pinned >= 0 && ask.pinned < static_cast<std::int32_t>(view.replicas.size());
    if (!exists || !view.replicas[static_cast<std::size_t>(ask.pinned)].ready)
      return {Decision::kRefuse};
    return {ask.pinned};
  }
};

const Register<Router, Direct> kRegistered("direct", "The replica that the caller names.");

}  // namespace
}  // namespace kvsim
