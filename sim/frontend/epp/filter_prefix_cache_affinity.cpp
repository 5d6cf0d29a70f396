// prefix-cache-affinity-filter (spec/llm_d.md section 4): keeps replicas whose prefix match is at
// least the threshold, when there are any; but now and then all of them, to explore, and all of
// them when the best of the matching ones would be slower to a first token by more than the
// penalty. The prediction is not llm-d's learned one: predicted_ttft.hpp.
#include <limits>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/epp/filter.hpp"
#include "sim/frontend/epp/predicted_ttft.hpp"

namespace kvsim {
namespace {

class PrefixCacheAffinityFilter final : public EppFilter {
 public:
  struct Options {
    double threshold = 0.8;
    double exploration = 0.01;
    Seconds max_penalty{0};
    template <class F>
    void fields(F& f) {
      f.optional("threshold", threshold, Range{0, 1}, "Share of the prompt that must match.");
      f.optional("exploration", exploration, Range{0, 1}, "Share of requests not filtered.");
      f.optional("max_ttft_penalty_s", max_penalty, Range{0, 1e6},
                 "Not filtered when the fastest match is slower than the fastest of all by more; "
                 "0 = no limit (llm-d needs its latency predictor for it).");
    }
  };
  PrefixCacheAffinityFilter(const Options& options, const Context& context)
      : options_(options), rng_(stream(context.seed, "router/llm-d/affinity")) {
    for (const ReplicaFacts& replica : context.replicas)
      rates_.push_back(replica.prefill_tokens_per_s);
  }
  bool needs_prefix() const override { return true; }

  void filter(const EppCycle& cycle, std::vector<std::int32_t>& candidates) override {
    if (options_.exploration > 0 && rng_.uniform() < options_.exploration) return;
    matching_.clear();
    for (const std::int32_t replica : candidates)
      if (cycle.prefix(replica) >= options_.threshold) matching_.push_back(replica);
    if (matching_.empty()) return;
    if (options_.max_penalty > Seconds(0) &&
        fastest(cycle, matching_) > fastest(cycle, candidates) + options_.max_penalty)
      return;
    candidates.swap(matching_);
  }

 private:
  [[nodiscard]] Seconds fastest(const EppCycle& cycle,
                                const std::vector<std::int32_t>& replicas) const {
    Seconds best(std::numeric_limits<double>::infinity());
    for (const std::int32_t replica : replicas)
      best =
          std::min(best, predicted_ttft(cycle, replica, rates_[static_cast<std::size_t>(replica)]));
    return best;
  }
  Options options_;
  Rng rng_;
  std::vector<double> rates_;
  std::vector<std::int32_t> matching_;
};

const Register<EppFilter, PrefixCacheAffinityFilter> kRegistered(
    "prefix-cache-affinity-filter", "Replicas that hold most of the prompt, if any.");

}  // namespace
}  // namespace kvsim
