// What a router believes the replicas have cached: llm-d's approximate prefix cache (llm_d.md
// section 5), which learns from its own decisions and hears nothing from the replicas.
//
// One map from content hash to the replicas that hold it, and for each replica its hashes in the
// order of their latest insertion; a replica beyond its capacity loses its oldest. Looking up does
// not make a hash younger. A request's hashes are inserted first block first, so that of an old
// prompt the first block is forgotten first; what stands behind it then counts no more.
//
// Memory: 40 to 80 bytes for a hash and 24 for each replica that holds it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/kv/leading_match.hpp"

namespace kvsim {

class PrefixIndex {
 public:
  struct Options {
    std::int32_t replicas = 1;       // replicas are numbered from 0
    std::int32_t capacity = 31'250;  // hashes kept per replica (llm-d's default)
  };
  explicit PrefixIndex(const Options& options);

  // blocks[r] = how many leading `hashes` replica r is believed to hold; resized to the replicas.
  // O(hashes of the longest match + replicas), with 64 replicas a step.
  void match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& blocks);
  // A request with these hashes was sent to `replica`. O(hashes).
  void insert(std::int32_t replica, std::span<const BlockHash> hashes);
  // The replica keeps its `most` latest hashes. O(those it loses).
  void trim(std::int32_t replica, std::int32_t most);
  // The replica is gone or empty. O(its hashes).
  void remove_replica(std::int32_t replica);

  // Hashes that `replica` is believed to hold.
  [[nodiscard]] std::int32_t size(std::int32_t replica) const;
  // Different hashes held by anyone.
  [[nodiscard]] std::size_t hashes() const { return holders_.size(); }

 private:
  struct Node {
    BlockHash hash = 0;
    std::int32_t older = 0;
    std::int32_t younger = 0;
  };
  // A ring through node 0, whose `younger` is the oldest hash. Nodes 1..size are in use.
  struct Replica {
    std::vector<Node> nodes = std::vector<Node>(1);
  };

  void prefetch_first(std::span<const BlockHash> hashes) const;
  static void link(Replica& replica, std::int32_t older, std::int32_t younger);
  static void make_youngest(Replica& replica, std::int32_t node);
  // Drops the oldest hash; returns its node, out of the ring.
  std::int32_t forget_oldest(std::int32_t replica);

  Options options_;
  HashMap<ReplicaSet> holders_;  // the number in a set is the hash's node in that replica's ring
  std::vector<Replica> replicas_;
  LeadingMatch match_;
};

}  // namespace kvsim
