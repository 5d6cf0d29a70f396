// Which KV chunks lie in a host's DRAM: vLLM's native CPU offload (vllm.md section 9) without the
// copies, which the caller makes between begin and end.
//
// A chunk is a run of blocks, named by the hash of its last one. It is being stored (pending: not
// hittable yet), ready, or ready and being loaded; only ready chunks that nobody loads can be
// evicted. A capacity of 0 is no tier: every lookup misses, every store is declined, nothing is
// counted. Every operation costs O(1) a chunk, or what the eviction policy takes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/kv/block_listener.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/hash_map.hpp"
#include "sim/kv/key_list.hpp"

namespace kvsim {

// The leading chunks of a request that are here.
struct ChunkPrefix {
  std::int64_t chunks = 0;
  std::int64_t ready = 0;  // those before the first pending one
  bool pending = false;    // some of them are still being stored: ask again next step
  bool loading = false;    // some of them are being loaded for another request
};

class HostCache {
 public:
  enum class Lookup : std::uint8_t { kMiss, kReady, kPending };
  struct Options {
    std::int64_t capacity = 0;  // chunks
    // From 2 on: only chunks looked up at least that often are stored. Below: every chunk.
    std::int64_t store_threshold = 0;
    std::int64_t tracked = 64'000;  // chunks whose lookups are counted, the latest (vLLM's default)
  };
  HostCache(const Options& options, std::unique_ptr<Eviction> eviction);

  // Both count as a use of every chunk asked for, also of those behind the first miss; the first
  // chunk ends up as the latest used, so that chains are evicted from their end.
  Lookup lookup(BlockHash chunk);
  ChunkPrefix lookup(std::span<const BlockHash> chunks);

  // True when the chunk is to be copied now: it was absent, is wanted and has room.
  bool begin_store(BlockHash chunk);
  // The same for distinct chunks, all or none: appends those to copy to `begun`; false when too few
  // chunks can be evicted for them. Chunks of the list that are here already are not evicted for
  // the others; where that takes an eviction, it counts as a use of them.
  bool begin_store(std::span<const BlockHash> chunks, std::vector<BlockHash>& begun);
  // The copy of a chunk arrived, or failed: then the chunk is gone.
  void end_store(BlockHash chunk, bool stored = true);

  // A ready chunk is read, possibly by several requests at once; until the last ends it stays.
  void begin_load(BlockHash chunk);
  void end_load(BlockHash chunk);
  // The same for a copy to another tier, which keeps nobody from loading it.
  void begin_read(BlockHash chunk);
  void end_read(BlockHash chunk);

  // Everything is gone at once, as with the process that held it. Ends of what is under way are
  // still to come, and do nothing. The eviction policy keeps what it has learned of absent chunks.
  void clear();

  [[nodiscard]] std::int64_t capacity() const { return options_.capacity; }
  // Chunks that take room, pending ones too.
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(chunks_.size()); }
  // Whether the chunk takes room, and whether it could be loaded, without counting as a lookup.
  [[nodiscard]] bool contains(BlockHash chunk) const { return chunks_.find(chunk) != nullptr; }
  [[nodiscard]] bool ready(BlockHash chunk) const {
    const Chunk* found = chunks_.find(chunk);
    return found != nullptr && found->ready;
  }

  [[nodiscard]] std::int64_t lookups() const { return lookups_; }
  // Lookups that found the chunk, pending or ready.
  [[nodiscard]] std::int64_t hits() const { return hits_; }
  // Chunks whose store was begun; declined because too little could be evicted; declined below
  // store_threshold; evicted.
  [[nodiscard]] std::int64_t stores() const { return stores_; }
  [[nodiscard]] std::int64_t dropped() const { return dropped_; }
  [[nodiscard]] std::int64_t skipped() const { return skipped_; }
  [[nodiscard]] std::int64_t evicted() const { return evicted_; }

  // One more who hears of chunks that become ready, are loaded, are evicted. Not owned.
  void add_listener(BlockListener* listener) { listeners_.push_back(listener); }

 private:
  struct Chunk {
    std::int32_t loads = 0;
    std::int32_t reads = 0;
    bool ready = false;
    [[nodiscard]] bool pinned() const { return loads + reads > 0; }
  };

  // Of chunks that were cleared: ends still to come.
  struct UnderWay {
    std::int32_t stores = 0;
    std::int32_t loads = 0;
    std::int32_t reads = 0;
  };
  [[nodiscard]] bool end_cleared(BlockHash chunk, std::int32_t UnderWay::*what);

  Lookup look(BlockHash chunk);
  void count_lookup(BlockHash chunk);
  [[nodiscard]] bool wanted(BlockHash chunk);
  // Evicts until `count` more chunks fit; false, with nothing evicted, when that cannot be.
  [[nodiscard]] bool make_room(std::int64_t count);
  void insert(BlockHash chunk);
  void pin(BlockHash chunk);
  void unpin(BlockHash chunk);

  Options options_;
  std::unique_ptr<Eviction> eviction_;
  std::vector<BlockListener*> listeners_;
  std::int64_t lookups_ = 0;
  std::int64_t hits_ = 0;
  std::int64_t stores_ = 0;
  std::int64_t dropped_ = 0;
  std::int64_t skipped_ = 0;
  std::int64_t evicted_ = 0;
  HashMap<Chunk> chunks_;
  HashMap<UnderWay> cleared_;
  std::int64_t evictable_ = 0;
  KeyList looked_up_;  // chunks whose lookups are counted, latest last
  HashMap<std::int32_t> lookups_of_;
};

}  // namespace kvsim
