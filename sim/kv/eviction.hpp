// Which entry of a full cache goes next.
//
// A policy hears of everything that happens to the entries of one cache and names victims; the
// cache owns the entries. An entry that is being written or read is pinned and never named; how
// many are pinned does not change the cost of a call: O(1), for a few policies O(log entries).
#pragma once

#include <cstdint>
#include <optional>

#include "sim/workload/block_hash.hpp"

namespace kvsim {

class Eviction {
 public:
  static constexpr const char* kPlugin = "eviction";
  struct Context {
    std::int64_t capacity = 0;  // entries that the cache can hold
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
