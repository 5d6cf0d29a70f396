// prefix-cache-scorer and precise-prefix-cache-scorer (spec/llm_d.md section 4): the share of the
// prompt's blocks that a replica is believed to hold, by the picker's own decisions or by KV
// events. The matches are made in approximate_prefix.cpp and precise_prefix.cpp.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/approximate_prefix.hpp"
#include "sim/frontend/epp/precise_prefix.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

void copy_shares(std::span<const double> shares, std::span<const std::int32_t> candidates,
                 std::span<double> scores) {
  for (std::size_t i = 0; i < candidates.size(); ++i)
    scores[i] = shares[static_cast<std::size_t>(candidates[i])];
}

class PrefixCacheScorer final : public EppScorer {
 public:
  using Options = ApproximatePrefixOptions;
  PrefixCacheScorer(const Options& options, const Context&) : options_(options) {}
  const ApproximatePrefixOptions* approximate() const override { return &options_; }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    copy_shares(cycle.approximate, candidates, scores);
  }

 private:
  Options options_;
};

class PrecisePrefixCacheScorer final : public EppScorer {
 public:
  using Options = PrecisePrefixOptions;
  PrecisePrefixCacheScorer(const Options& options, const Context&) : options_(options) {}
  const PrecisePrefixOptions* precise() const override { return &options_; }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    copy_shares(cycle.precise, candidates, scores);
  }

 private:
  Options options_;
};

const Register<EppScorer, PrefixCacheScorer> kApproximate("prefix-cache-scorer",
                                                          "Much of the prompt went there before.");
const Register<EppScorer, PrecisePrefixCacheScorer> kPrecise(
    "precise-prefix-cache-scorer", "Much of the prompt is cached there by KV events.");

}  // namespace
}  // namespace kvsim
