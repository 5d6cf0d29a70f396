// lora-affinity-scorer (spec/llm_d.md section 4). There are no LoRA adapters here, and for a base
// model whose engines offer no adapter slots the real one scores 0 everywhere: so does this.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class LoraAffinityScorer final : public EppScorer {
 public:
  using Options = NoOptions;
  LoraAffinityScorer(const Options&, const Context&) {}
  void score(const EppCycle&, std::span<const std::int32_t>, std::span<double> scores) override {
    std::fill(scores.begin(), scores.end(), 0.0);
  }
};

const Register<EppScorer, LoraAffinityScorer> kRegistered("lora-affinity-scorer",
                                                          "Neutral: there are no adapters here.");

}  // namespace
}  // namespace kvsim
