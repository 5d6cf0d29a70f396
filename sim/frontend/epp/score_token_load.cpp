// token-load-scorer (spec/llm_d.md section 4): prompt tokens in flight by the picker's own count,
// from 1 at none to 0 at the threshold.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class TokenLoadScorer final : public EppScorer {
 public:
  struct Options {
    std::int64_t threshold = 4'194'304;
    template <class F>
    void fields(F& f) {
      f.optional("threshold_tokens", threshold, Range{1, 1e15}, "Tokens in flight that score 0.");
    }
  };
  TokenLoadScorer(const Options& options, const Context&) : options_(options) {}
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    const double threshold = static_cast<double>(options_.threshold);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const double tokens = static_cast<double>(cycle.replica(candidates[i]).in_flight_tokens);
      scores[i] = tokens <= 0 ? 1.0 : 1.0 - std::min(tokens, threshold) / threshold;
    }
  }

 private:
  Options options_;
};

const Register<EppScorer, TokenLoadScorer> kRegistered(
    "token-load-scorer", "Few prompt tokens in flight by the picker's own count.");

}  // namespace
}  // namespace kvsim
