// A pinned region of DRAM that holds KV chunks of different sizes: LMCache's local CPU backend and
// the staging buffer in one (spec/lmcache.md section 4).
//
// Bytes are reserved for a copy, then either given back or kept as an entry under a key. Entries
// that nobody has pinned make room, in the order of an eviction plug-in. Free space is not
// fragmented here (UNCERTAIN in the real allocator; sizes are rounded up to 4 KiB). O(1) a call and
// an entry evicted.
#pragma once

#include <memory>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/block_listener.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

class HostPool {
 public:
  HostPool(Bytes capacity, std::unique_ptr<Eviction> eviction);

  // Takes room for a copy, evicting; false, with nothing taken, when too little can be evicted.
  [[nodiscard]] bool reserve(Bytes bytes);
  // The same without evicting.
  [[nodiscard]] bool reserve_free(Bytes bytes);
  void release(Bytes bytes);
  // Reserved bytes become the entry `key`, pinned once. Not present before.
  void keep(BlockHash key, Bytes bytes);
  void pin(BlockHash key);
  void unpin(BlockHash key);
  // Someone looked for it; recency counts for present ones.
  void touch(BlockHash key);
  [[nodiscard]] bool contains(BlockHash key) const { return entries_.find(key) != nullptr; }
  // Unpins; the last to do so takes the entry out.
  void let_go(BlockHash key);
  // Takes an unpinned entry out.
  void drop_coldest();
  // Every entry is gone at once, as with the process that held it. What is reserved stays so;
  // unpinning what was pinned is still to come, and does nothing.
  void clear();

  // One more who hears of entries that are kept, found, and that go. Not owned.
  void add_listener(BlockListener* listener) { listeners_.push_back(listener); }

  [[nodiscard]] Bytes capacity() const { return capacity_; }
  [[nodiscard]] Bytes used() const { return used_; }
  [[nodiscard]] Bytes evictable() const { return evictable_; }
  [[nodiscard]] Bytes kept() const { return kept_; }  // ever
  [[nodiscard]] Bytes evicted() const { return evicted_; }

 private:
  struct Entry {
    Bytes bytes{0};
    std::int32_t pins = 0;
  };
  static Bytes rounded(Bytes bytes);
  [[nodiscard]] bool unpin_cleared(BlockHash key);

  Bytes capacity_;
  std::unique_ptr<Eviction> eviction_;
  std::vector<BlockListener*> listeners_;
  HashMap<Entry> entries_;
  HashMap<std::int32_t> cleared_;  // pins, still to be taken back, of entries that were cleared
  Bytes used_{0};
  Bytes evictable_{0};
  Bytes kept_{0};
  Bytes evicted_{0};
};

}  // namespace kvsim
