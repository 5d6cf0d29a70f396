// Which entry of a full cache goes next.
//
// A policy hears of everything that happens to the entries of one cache and names victims; the
// cache owns the entries. An entry that is being written or read is pinned and never named; how
// many are pinned does not change the cost of a call: O(1), for a few policies O(log entries).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "sim/base/units.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

class Eviction {
 public:
  static constexpr const char* kPlugin = "eviction";
  struct Context {
    std::int64_t capacity = 0;  // entries that the cache can hold
    // What it would take to get an entry back from where else it lies, with what those links and
    // disks have to do now; nullopt = it lies nowhere else. Null: the cache does not know.
    std::function<std::optional<Seconds>(BlockHash)> refetch;
    Seconds recompute{0};  // an entry instead
  };
  virtual ~Eviction() = default;

  // A new entry, pinned: its content is being written. Not present before.
  virtual void inserted(BlockHash key) = 0;
  // Someone looked for `key`. It may be absent, or present and pinned.
  virtual void touched(BlockHash key) = 0;
  // A present, unpinned entry is about to be read.
  virtual void pinned(BlockHash key) = 0;
  // The entry was written, or its last reader is done.
  virtual void unpinned(BlockHash key) = 0;
  // A pinned entry is gone without having been a victim: writing it failed.
  virtual void removed(BlockHash key) = 0;
  // Names an unpinned entry and forgets it, as the cache then must; nullopt when there is none.
  [[nodiscard]] virtual std::optional<BlockHash> evict() = 0;
};

}  // namespace kvsim
