// Every request is routed at once.
#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"

namespace kvsim {
namespace {

class AdmitAll final : public Admission {
 public:
  using Options = NoOptions;
  AdmitAll(const Options&, const Context&) {}
  Verdict admit(const Ask&, const ClusterView&) override { return Verdict::kAdmit; }
  std::optional<std::int64_t> next(const ClusterView&) override { return std::nullopt; }
  void gone(std::int64_t) override {}
  std::int64_t held() const override { return 0; }
};

const Register<Admission, AdmitAll> kRegistered("none", "Every request is routed at once.");

}  // namespace
}  // namespace kvsim
