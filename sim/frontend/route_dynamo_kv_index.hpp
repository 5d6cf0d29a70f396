// What a Dynamo router keeps of its own decisions: which blocks are in use on which replica, and
// which blocks replicas ought to have cached because it sent them there lately.
//
// Both map chain hashes to replicas. What a replica holds of a prompt here is always its beginning:
// hashes come and go by whole prompts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/leading_match.hpp"

namespace kvsim {

// Which replicas hold which hashes, each with a number of its user's.
class ReplicaBlocks {
 public:
  using Number = ReplicaSet::Number;
  explicit ReplicaBlocks(std::int32_t replicas);

  // lengths[r] = how many leading `hashes` replica r holds; resized to the replicas. O(hashes of
  // the longest match), with 64 replicas a step.
  void match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& lengths);

  // The replica's number for a hash; made as 0 when it does not hold it. Holds until the next call
  // that is not const.
  [[nodiscard]] Number& number(BlockHash hash, std::int32_t replica);
  // The same of a hash that it must hold.
  [[nodiscard]] Number& held_number(BlockHash hash, std::int32_t replica);
  // The replica must hold the hash.
  void erase(BlockHash hash, std::int32_t replica);
  void prefetch(BlockHash hash) const { holders_.prefetch(hash); }

  [[nodiscard]] std::int64_t size(std::int32_t replica) const {
    return sizes_[static_cast<std::size_t>(replica)];
  }

 private:
  HashMap<ReplicaSet> holders_;
  std::vector<std::int64_t> sizes_;
  LeadingMatch match_;
};

// The blocks of requests under way, each counted once on a replica whoever shares it.
class ActiveBlocks {
 public:
  explicit ActiveBlocks(std::int32_t replicas) : counts_(replicas) {}
  void match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& lengths) {
    counts_.match(hashes, lengths);
  }
  void add(std::int32_t replica, std::span<const BlockHash> hashes);
  void remove(std::int32_t replica, std::span<const BlockHash> hashes);
  [[nodiscard]] std::int64_t size(std::int32_t replica) const { return counts_.size(replica); }

 private:
  ReplicaBlocks counts_;  // by how many requests
};

// Blocks by the time at which they were last sent somewhere; forgotten after a while. Times must
// not decrease.
class RecentBlocks {
 public:
  RecentBlocks(std::int32_t replicas, Seconds kept) : nodes_of_(replicas), kept_(kept) {}
  // Forgets what was inserted `kept` ago or before.
  void expire(Seconds now);
  void match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& lengths) {
    nodes_of_.match(hashes, lengths);
  }
  void insert(std::int32_t replica, std::span<const BlockHash> hashes, Seconds now);
  // O(all blocks).
  void clear(std::int32_t replica);
  [[nodiscard]] std::int64_t size(std::int32_t replica) const { return nodes_of_.size(replica); }

 private:
  // A ring through node 0, whose `younger` is the oldest. Unused nodes are chained by `younger`.
  struct Node {
    BlockHash hash = 0;
    Seconds inserted{0};
    std::int32_t replica = 0;
    std::int32_t older = 0;
    std::int32_t younger = 0;
  };
  void unlink(std::int32_t node);
  void make_youngest(std::int32_t node);
  std::int32_t unused_node();
  void forget(std::int32_t node);

  ReplicaBlocks nodes_of_;
  Seconds kept_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::int32_t unused_ = 0;  // 0 = none
};

}  // namespace kvsim
