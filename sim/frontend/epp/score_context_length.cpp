// context-length-aware (spec/llm_d.md section 4): replicas labelled with the range of prompt
// lengths that they are meant for. With the prompt's length n and the range low..high of its pool:
//
//   inside    0.3 + 0.7 * (0.7 / (1 + width / 10000) + 0.3 * (high - n) / width)   width = high-low
//   outside   0.3 / (1 + distance / 1000)        distance to the nearer end
//   no label  0.5
//
// The real label is the pod's; here it is stated per pool. The real one counts characters / 4.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

struct LengthRange {
  std::string pool;
  std::int64_t low = 0;
  std::int64_t high = 0;
  template <class F>
  void fields(F& f) {
    f.required("pool", pool, "Pool that the range is for.");
    f.required("low_tokens", low, Range{0, 1e12}, "Shortest prompt.");
    f.required("high_tokens", high, Range{1, 1e12}, "Longest prompt.");
  }
};

class ContextLengthScorer final : public EppScorer {
 public:
  struct Options {
    std::vector<LengthRange> ranges;
    template <class F>
    void fields(F& f) {
      f.optional("ranges", ranges, "Which prompts each pool is meant for.");
    }
  };
  ContextLengthScorer(const Options& options, const Context& context)
      : ranges_(context.replicas.size()) {
    for (const LengthRange& range : options.ranges)
      if (range.low >= range.high)
        throw ConfigError("context-length-aware: low_tokens of pool " + range.pool +
                          " must be below high_tokens");
    for (std::size_t i = 0; i < ranges_.size(); ++i)
      for (const LengthRange& range : options.ranges)
        if (range.pool == context.replicas[i].pool) ranges_[i] = range;
  }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    for (std::size_t i = 0; i < candidates.size(); ++i)
      scores[i] =
          score_of(ranges_[static_cast<std::size_t>(candidates[i])], cycle.ask.input_tokens);
  }

 private:
  static double score_of(const LengthRange& range, std::int64_t tokens) {
    if (range.pool.empty()) return 0.5;
    if (tokens >= range.low && tokens <= range.high) {
      const double width = static_cast<double>(range.high - range.low);
      const double headroom = static_cast<double>(range.high - tokens);
      return 0.3 + 0.7 * (0.7 / (1.0 + width / 10'000.0) + 0.3 * headroom / width);
    }
    const std::int64_t distance = tokens < range.low ? range.low - tokens : tokens - range.high;
    return 0.3 / (1.0 + static_cast<double>(distance) / 1000.0);
  }
  std::vector<LengthRange> ranges_;  // by replica; pool empty = no label
};

const Register<EppScorer, ContextLengthScorer> kRegistered(
    "context-length-aware", "The pool is meant for prompts of this length.");

}  // namespace
}  // namespace kvsim
