// Of the entries that were used the longest ago, the one that costs least to lose: what also lies
// elsewhere goes first, weighed by the time to fetch it from there against computing it again.
//
// Ours; no system that we know does it. Where the way back is so busy that fetching takes no less
// than computing, where nothing lies elsewhere, or where the cache cannot tell, it is LRU.
// Left out: how likely an entry is used again, beyond its place in the order of use; copies in HBM
// and in other replicas' DRAM.
#include <algorithm>

#include "sim/base/fields.hpp"
#include "sim/base/registry.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/key_list.hpp"

namespace kvsim {
namespace {

class DuplicatesFirst : public Eviction {
 public:
  struct Options {
    std::int64_t candidates = 16;
    template <class F>
    void fields(F& f) {
      f.optional(
          "candidates", candidates, Range{1, 4096},
          "Entries that are weighed, those used the longest ago; 1 = LRU. Default: assumed.");
    }
  };
  DuplicatesFirst(const Options& options, const Context& context)
      : options_(options), context_(context) {}

  void inserted(BlockHash) override {}
  void touched(BlockHash key) override { idle_.move_to_back(key); }
  void pinned(BlockHash key) override { idle_.erase(key); }
  void unpinned(BlockHash key) override { idle_.push_back(key); }
  void removed(BlockHash) override {}
  std::optional<BlockHash> evict() override {
    if (idle_.empty()) return std::nullopt;
    const BlockHash victim = context_.refetch ? cheapest() : idle_.front();
    idle_.erase(victim);
    return victim;
  }

 private:
  // Of equal ones, the coldest.
  [[nodiscard]] BlockHash cheapest() const {
    BlockHash best = idle_.front();
    Seconds least = loss(best);
    BlockHash key = best;
    for (std::int64_t i = 1; i < options_.candidates; ++i) {
      key = idle_.after(key);
      if (key == 0) break;
      const Seconds its = loss(key);
      if (its >= least) continue;
      best = key;
      least = its;
    }
    return best;
  }
  [[nodiscard]] Seconds loss(BlockHash key) const {
    const std::optional<Seconds> refetch = context_.refetch(key);
    return refetch ? std::min(*refetch, context_.recompute) : context_.recompute;
  }

  Options options_;
  Context context_;
  KeyList idle_;  // unpinned entries, least recently used first
};

const Register<Eviction, DuplicatesFirst> kRegistered(
    "duplicates-first",
    "Of the least recently used, what is cheapest to get back from elsewhere goes first.");

}  // namespace
}  // namespace kvsim
