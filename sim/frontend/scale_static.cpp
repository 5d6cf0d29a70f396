// No autoscaler: every pool keeps what it was started with.
#include "sim/base/registry.hpp"
#include "sim/frontend/autoscaler.hpp"

namespace kvsim {
namespace {

class Static final : public Autoscaler {
 public:
  using Options = NoOptions;
  Static(const Options&, const Context&) {}
  // Nothing follows from when it is asked: as seldom as any run lasts.
  [[nodiscard]] Seconds period() const override { return Seconds(1e9); }
  void decide(Seconds, std::span<const PoolMetrics>, std::span<std::int64_t>) override {}
};

const Register<Autoscaler, Static> kRegistered("static", "Never changes the number of replicas.");

}  // namespace
}  // namespace kvsim
