// Each replica in turn; those that are not ready are passed over.
#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class RoundRobin final : public Router {
 public:
  using Options = NoOptions;
  RoundRobin(const Options&, const Context&) {}
  Decision route(const Ask&, const ClusterView& view) override {
    for (std::size_t tried = 0; tried < view.replicas.size(); ++tried) {
      if (next_ >= view.replicas.size()) next_ = 0;
      const std::size_t at = next_++;
      if (view.replicas[at].ready) return {static_cast<std::int32_t>(at)};
    }
    return {Decision::kRefuse};
  }

 private:
  std::size_t next_ = 0;
};

const Register<Router, RoundRobin> kRegistered("round-robin", "Each replica in turn.");

}  // namespace
}  // namespace kvsim
