// Prompts always, or never, computed by prefill replicas.
#include "sim/base/registry.hpp"
#include "sim/frontend/decider.hpp"

namespace kvsim {
namespace {

template <bool kRemote>
class Fixed final : public Decider {
 public:
  using Options = NoOptions;
  Fixed(const Options&, const Context&) {}
  bool remote(const Question&) override { return kRemote; }
};

const Register<Decider, Fixed<true>> kAlways("always", "Prefill replicas compute every prompt.");
const Register<Decider, Fixed<false>> kNever("never", "Decode replicas compute their prompts.");

}  // namespace
}  // namespace kvsim
