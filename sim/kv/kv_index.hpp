// What KV events have told of which replica holds which blocks in which tier: a map from chain hash
// to replicas, for each tier (spec/dynamo.md section 2, spec/llm_d.md section 6).
//
// Nothing of a cache is ever copied: engines append events to logs (kv_events.hpp), and the index
// applies those that have arrived when it is asked. A stale view costs what a fresh one does.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

class KvEventLog;

constexpr std::size_t kIndexTiers = 3;  // HBM, host DRAM, below

// The leading blocks of a prompt that one replica holds, none missing in between:
// through[t] = as long as each is held in tier t or above. Ascending.
struct KvMatch {
  std::array<std::int32_t, kIndexTiers> through{};
  [[nodiscard]] std::int32_t in(std::size_t tier) const {
    return tier == 0 ? through[0] : through[tier] - through[tier - 1];
  }
  [[nodiscard]] std::int32_t all() const { return through[kIndexTiers - 1]; }
};

class KvIndex {
 public:
  struct Options {
    std::int32_t replicas = 1;
    // Replicas kept per hash and tier; one more takes another's place (llm-d's in-memory index:
    // 10). 0 = no limit.
    std::int32_t most_replicas = 0;
    // A tier may hold groups of blocks under the hash of the last: blocks of such a group, 1 =
    // none.
    std::array<std::int32_t, kIndexTiers> group_blocks = {1, 1, 1};
  };
  explicit KvIndex(const Options& options);
  ~KvIndex();

  // The log of a replica (or, -1, of a store that all reach), read from now on. Not owned. Once per
  // replica; null = it tells nothing.
  void listen(std::int32_t replica, KvEventLog* log);
  // Applies what has arrived until now.
  void advance(Seconds now);

  // For each replica, resized to their number. O(blocks of the longest match), 64 replicas a step.
  // A block of a group is held when the group is, and a group that the prompt does not fill is not.
  void match(std::span<const BlockHash> hashes, std::vector<KvMatch>& matches);
  // Blocks that are nobody's but a store's, which all replicas reach: how many lead.
  // (-1 as replica in add() and remove().)
  [[nodiscard]] std::int32_t match_shared(std::span<const BlockHash> hashes);

  // For tests, and for routers that add entries of their own (speculative indexing). What is added
  // twice is held until it is removed twice; removing what is not held does nothing.
  void add(std::int32_t replica, std::size_t tier, BlockHash hash);
  void remove(std::int32_t replica, std::size_t tier, BlockHash hash);
  // The replica's cache is gone (events: AllBlocksCleared). O(hashes in the index).
  void clear(std::int32_t replica);

  // Hashes that a replica is believed to hold in HBM (Dynamo's ties: tree size).
  [[nodiscard]] std::int64_t size(std::int32_t replica) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvsim
