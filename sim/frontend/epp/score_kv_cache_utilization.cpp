// kv-cache-utilization-scorer (spec/llm_d.md section 4): 1 - KV cache usage. vLLM's gauge counts
// cached blocks that nobody uses as free, so a replica full of reusable cache looks idle.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class KvCacheUtilizationScorer final : public EppScorer {
 public:
  using Options = NoOptions;
  KvCacheUtilizationScorer(const Options&, const Context&) {}
  bool needs_gauges() const override { return true; }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    for (std::size_t i = 0; i < candidates.size(); ++i)
      scores[i] = 1.0 - cycle.replica(candidates[i]).kv_usage;
  }
};

const Register<EppScorer, KvCacheUtilizationScorer> kRegistered("kv-cache-utilization-scorer",
                                                                "Low KV cache usage.");

}  // namespace
}  // namespace kvsim
