// Which KV lies where: hears every cache and store of a run and counts, for a map (report/kv_map).
//
// O(1) for each event, O(tiers) for the first and last copy of a name in a tier; a sample costs
// O(tiers * window) however much is held. Memory: 16 bytes for what each holder has, 56 for each
// name in a tier, times what a hash table keeps free (1.6 to 3.2).
//
// Names are chain hashes of last blocks. A chunk in DRAM and the blocks of HBM that it is made of
// share one name, that of the chunk's last block: where both lie is known from that block alone,
// which is taken for all of them. HBM evicts a request's blocks from the end, so a last block that
// is there tells that the others are; one that is gone tells nothing of them: what lies twice is
// counted from below.
// Left out: chunks that end within a block have a name that HBM has not. Equal content of several
// LLMs in one store counts as one.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/kv/block_listener.hpp"
#include "sim/kv/hash_map.hpp"
#include "sim/report/kv_map.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

class KvMapRecorder {
 public:
  // What a cache keeps under one name.
  struct Shape {
    std::int64_t tokens = 1;
    Bytes bytes{0};
    std::uint64_t salt = 0;  // tells LLMs apart
  };
  // `window`: periods in which what was used is hot, at least 1. `now` is asked for when something
  // changes.
  KvMapRecorder(std::size_t tiers, std::int64_t window, std::function<Seconds()> now);
  ~KvMapRecorder();
  KvMapRecorder(const KvMapRecorder&) = delete;

  // Whom a cache or a store tells, from when it is empty on. Owned here.
  BlockListener& add_cache(std::size_t tier, const Shape& shape);
  StoreListener& add_store(std::size_t tier);

  // By tier, as it is now.
  [[nodiscard]] std::vector<KvMapCounts> counts() const;
  // What is used from now on belongs to the next period.
  void period_ends();
  // Those with most copies, then most hits, then by name. O(all that is held).
  [[nodiscard]] std::vector<KvMapBlock> most_copied(std::size_t count) const;

 private:
  class Holder;
  class Cache;
  class Kept;
  struct Entry {
    std::int32_t holders = 0;
    std::int32_t hits = 0;
    std::int64_t tokens = 0;
    Bytes bytes{0};
    Seconds stored{0};
    Seconds used{-1};
    std::int64_t period = -1;  // of the latest use
  };
  struct Tier {
    KvMapCounts counts;
    HashMap<Entry> entries;
    std::vector<std::int64_t> used_in;  // names whose latest use was in that period
  };

  // Misses of the processor's caches are what all of this costs: they overlap.
  void prefetch(BlockHash name) const {
    for (const Tier& tier : tiers_) tier.entries.prefetch(name);
  }
  // The first copy of a holder comes, the last one goes.
  void enter(std::size_t tier, BlockHash name, const Shape& shape);
  void leave(std::size_t tier, BlockHash name);
  void use(std::size_t tier, BlockHash name);
  // The name has come to that tier (sign 1), or is about to go (-1): what lies in several.
  void overlap(std::size_t tier, BlockHash name, std::int64_t tokens, std::int64_t sign);

  std::int64_t window_;
  std::function<Seconds()> now_;
  std::vector<Tier> tiers_;
  std::vector<std::unique_ptr<Holder>> holders_;
  std::size_t period_ = 0;
};

}  // namespace kvsim
