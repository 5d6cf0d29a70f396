// active-request-scorer (spec/llm_d.md section 4): the picker's own count of requests in flight,
// which needs no scrape.
//
//   at most idle_threshold: 1      else (most - mine) / most * max_busy_score
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class ActiveRequestScorer final : public EppScorer {
 public:
  struct Options {
    std::int64_t idle_threshold = 0;
    double max_busy_score = 1.0;
    template <class F>
    void fields(F& f) {
      f.optional("idle_threshold", idle_threshold, Range{0, 1e9},
                 "A replica with at most so many requests in flight is idle.");
      f.optional("max_busy_score", max_busy_score, Range{0, 1},
                 "Bound of the score of a replica that is not idle.");
    }
  };
  ActiveRequestScorer(const Options& options, const Context&) : options_(options) {}
  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    std::int64_t most = 0;
    for (const std::int32_t replica : candidates)
      most = std::max(most, cycle.replica(replica).in_flight);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const std::int64_t mine = cycle.replica(candidates[i]).in_flight;
      scores[i] = mine <= options_.idle_threshold
                      ? 1.0
                      : static_cast<double>(most - mine) / static_cast<double>(most) *
                            options_.max_busy_score;
    }
  }

 private:
  Options options_;
};

const Register<EppScorer, ActiveRequestScorer> kRegistered(
    "active-request-scorer", "Few requests in flight by the picker's own count.");

}  // namespace
}  // namespace kvsim
