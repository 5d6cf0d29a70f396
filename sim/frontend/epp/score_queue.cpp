// queue-scorer and running-requests-size-scorer (spec/llm_d.md section 4): few requests are good,
// relative to the other candidates.
//
//   (most - mine) / (most - fewest)    all equal: 1
//
// A difference of one request spreads scores over the whole of 0..1.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

template <std::int64_t ReplicaView::*kCount>
class FewestScorer final : public EppScorer {
 public:
  using Options = NoOptions;
  FewestScorer(const Options&, const Context&) {}
  bool needs_gauges() const override { return true; }
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    std::int64_t fewest = cycle.replica(candidates.front()).*kCount;
    std::int64_t most = fewest;
    for (const std::int32_t replica : candidates) {
      fewest = std::min(fewest, cycle.replica(replica).*kCount);
      most = std::max(most, cycle.replica(replica).*kCount);
    }
    const double spread = static_cast<double>(most - fewest);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const std::int64_t below = most - cycle.replica(candidates[i]).*kCount;
      scores[i] = most == fewest ? 1.0 : static_cast<double>(below) / spread;
    }
  }
};

const Register<EppScorer, FewestScorer<&ReplicaView::waiting>> kQueue(
    "queue-scorer", "Few requests waiting, relative to the others.");
const Register<EppScorer, FewestScorer<&ReplicaView::running>> kRunning(
    "running-requests-size-scorer", "Few requests running, relative to the others.");

}  // namespace
}  // namespace kvsim
