// Each replica in turn.
#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class RoundRobin final : public Router {
 public:
  using Options = NoOptions;
  RoundRobin(const Options&, const Context&) {}
  Decision route(const Ask&, const ClusterView& view) override {
    if (next_ >= view.replicas.size()) next_ = 0;
    return {static_cast<std::int32_t>(next_++)};
  }

 private:
  std::size_t next_ = 0;
};

const Register<Router, RoundRobin> kRegistered("round-robin", "Each replica in turn.");

}  // namespace
}  // namespace kvsim
