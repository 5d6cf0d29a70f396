// load-aware-scorer (spec/llm_d.md section 4): 0.5 without a queue, falling to 0 at the threshold;
// never above 0.5, so that in one sum with another scorer it counts half of its weight.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class LoadAwareScorer final : public EppScorer {
 public:
  struct Options {
    std::int64_t threshold = 128;
    template <class F>
    void fields(F& f) {
      f.optional("threshold", threshold, Range{1, 1e9}, "Waiting requests that score 0.");
    }
  };
  LoadAwareScorer(const Options& options, const Context&) : options_(options) {}
  bool needs_gauges() const override { return true; }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    const double threshold = static_cast<double>(options_.threshold);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const double waiting = static_cast<double>(cycle.replica(candidates[i]).waiting);
      scores[i] = 0.5 * (1.0 - std::min(waiting, threshold) / threshold);
    }
  }

 private:
  Options options_;
};

const Register<EppScorer, LoadAwareScorer> kRegistered("load-aware-scorer",
                                                       "Few requests waiting, in absolute terms.");

}  // namespace
}  // namespace kvsim
