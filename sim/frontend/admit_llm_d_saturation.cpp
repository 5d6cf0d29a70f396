// llm-d without flow control (spec/llm_d.md section 7): while its replicas are saturated, requests
// of negative priority ("sheddable") are refused; all others always pass.
//
// llm-d's priorities are higher for the more important, ours lower for what is served first:
// llm-d's priority is ours with the sign changed, so that priority 1 here is sheddable.
#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"
#include "sim/frontend/epp/saturation.hpp"

namespace kvsim {
namespace {

class SaturationAdmission final : public Admission {
 public:
  using Options = SaturationOptions;
  SaturationAdmission(const Options& options, const Context&) : saturation_(options) {}

  bool needs_gauges() const override { return saturation_.needs_gauges(); }
  Verdict admit(const Ask& ask, const ClusterView& view) override {
    const bool sheddable = -ask.priority < 0;
    return sheddable && saturation_.saturated(view) ? Verdict::kRefuse : Verdict::kAdmit;
  }
  std::optional<std::int64_t> next(const ClusterView&) override { return std::nullopt; }
  void gone(std::int64_t) override {}
  std::int64_t held() const override { return 0; }

 private:
  Saturation saturation_;
};

const Register<Admission, SaturationAdmission> kRegistered(
    "llm-d-saturation", "llm-d: refuses sheddable requests while saturated.");

}  // namespace
}  // namespace kvsim
