// no-hit-lru-scorer (spec/llm_d.md section 4): spreads requests whose prefix nobody holds.
//
//   some replica has a hit: 0.5 for all
//   cold:                   1 - rank / (n - 1), those that never got a cold request first, in the
//                           order of the candidates, then the one whose last is longest ago
//
// The order changes with cold requests only. A single candidate scores 1.
#include <numeric>

#include "sim/base/registry.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {
namespace {

class NoHitLruScorer final : public EppScorer {
 public:
  struct Options {
    std::int64_t lru_size = 1024;
    template <class F>
    void fields(F& f) {
      f.optional("lru_size", lru_size, Range{1, 1e9},
                 "Replicas whose last cold request is remembered.");
    }
  };
  NoHitLruScorer(const Options& options, const Context& context)
      : options_(options), last_cold_(context.replicas.size(), 0) {}
  bool needs_prefix() const override { return true; }

  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    cold_ = std::none_of(candidates.begin(), candidates.end(),
                         [&](std::int32_t replica) { return cycle.prefix(replica) > 0; });
    if (!cold_) {
      std::fill(scores.begin(), scores.end(), 0.5);
      return;
    }
    order_.resize(candidates.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      const std::int64_t last_a = last_cold_[static_cast<std::size_t>(candidates[a])];
      const std::int64_t last_b = last_cold_[static_cast<std::size_t>(candidates[b])];
      return last_a != last_b ? last_a < last_b : a < b;
    });
    const double others = std::max(1.0, static_cast<double>(candidates.size()) - 1.0);
    for (std::size_t rank = 0; rank < order_.size(); ++rank)
      scores[order_[rank]] = 1.0 - static_cast<double>(rank) / others;
  }

  void chosen(const EppCycle&, std::int32_t replica) override {
    if (!cold_) return;
    std::int64_t& mine = last_cold_[static_cast<std::size_t>(replica)];
    if (mine == 0) ++remembered_;
    mine = ++count_;
    if (remembered_ > options_.lru_size) forget_oldest();
  }
  void lost(std::int32_t replica) override {
    std::int64_t& mine = last_cold_[static_cast<std::size_t>(replica)];
    if (mine != 0) --remembered_;
    mine = 0;
  }

 private:
  void forget_oldest() {
    std::int64_t* oldest = nullptr;
    for (std::int64_t& last : last_cold_)
      if (last != 0 && (oldest == nullptr || last < *oldest)) oldest = &last;
    *oldest = 0;
    --remembered_;
  }

  Options options_;
  std::vector<std::int64_t> last_cold_;  // by replica: when, in cold requests; 0 = never
  std::vector<std::size_t> order_;
  std::int64_t count_ = 0;
  std::int64_t remembered_ = 0;
  bool cold_ = false;
};

const Register<EppScorer, NoHitLruScorer> kRegistered("no-hit-lru-scorer",
                                                      "Spreads requests that nobody has cached.");

}  // namespace
}  // namespace kvsim
