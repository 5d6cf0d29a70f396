// slo-headroom-tier-filter (spec/llm_d.md section 4): keeps replicas that are expected to meet the
// objective for the time to first token; all when none does, and now and then, to explore, those
// that do not. The objective is one for all requests, and the prediction is not llm-d's learned
// one: predicted_ttft.hpp. Time per output token is left out.
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/epp/filter.hpp"
#include "sim/frontend/epp/predicted_ttft.hpp"

namespace kvsim {
namespace {

class SloHeadroomFilter final : public EppFilter {
 public:
  struct Options {
    Seconds ttft{0};
    double exploration = 0.01;
    template <class F>
    void fields(F& f) {
      f.required("ttft_s", ttft, Range{0, 1e6}, "Objective for the time to first token.");
      f.optional("exploration", exploration, Range{0, 1},
                 "Share of requests that go to replicas expected to miss it.");
    }
  };
  SloHeadroomFilter(const Options& options, const Context& context)
      : options_(options), rng_(stream(context.seed, "router/llm-d/slo-headroom")) {
    for (const ReplicaFacts& replica : context.replicas)
      rates_.push_back(replica.prefill_tokens_per_s);
  }
  bool needs_prefix() const override { return true; }

  void filter(const EppCycle& cycle, std::vector<std::int32_t>& candidates) override {
    const bool explore = options_.exploration > 0 && rng_.uniform() < options_.exploration;
    kept_.clear();
    for (const std::int32_t replica : candidates) {
      const double rate = rates_[static_cast<std::size_t>(replica)];
      const bool meets = predicted_ttft(cycle, replica, rate) <= options_.ttft;
      if (meets != explore) kept_.push_back(replica);
    }
    if (!kept_.empty()) candidates.swap(kept_);
  }

 private:
  Options options_;
  Rng rng_;
  std::vector<double> rates_;
  std::vector<std::int32_t> kept_;
};

const Register<EppFilter, SloHeadroomFilter> kRegistered(
    "slo-headroom-tier-filter", "Replicas expected to meet the objective, if any.");

}  // namespace
}  // namespace kvsim
