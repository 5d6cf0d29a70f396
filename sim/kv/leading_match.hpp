// How many leading blocks of a prompt each replica holds, by a map from content hash to replicas:
// 64 replicas a step, O(blocks of the longest match).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/kv/hash_map.hpp"
#include "sim/kv/replica_set.hpp"

namespace kvsim {

class LeadingMatch {
 public:
  // How far ahead of the work a map is prefetched.
  static constexpr std::size_t kAhead = 16;

  explicit LeadingMatch(std::size_t replicas)
      : replicas_(replicas), active_((replicas + 63) / 64), holding_(active_.size()) {}

  // lengths[r] = how many leading `hashes` replica r holds; resized to the replicas.
  void match(const HashMap<ReplicaSet>& holders, std::span<const BlockHash> hashes,
             std::vector<std::int32_t>& lengths) {
    lengths.assign(replicas_, 0);
    const ReplicaSet* first = hashes.empty() ? nullptr : holders.find(hashes[0]);
    if (first == nullptr) return;
    first->copy_to(active_);
    for (const BlockHash hash : hashes.first(std::min(kAhead, hashes.size())))
      holders.prefetch(hash);
    std::size_t length = 1;
    for (; length < hashes.size(); ++length) {
      if (length + kAhead < hashes.size()) holders.prefetch(hashes[length + kAhead]);
      const ReplicaSet* set = holders.find(hashes[length]);
      if (set == nullptr) break;
      if (!keep(*set, length, lengths)) return;
    }
    for (std::size_t word = 0; word < active_.size(); ++word)
      set_length(lengths, length, word, active_[word]);
  }

 private:
  // Only those in `set` hold one block more; false when nobody does.
  bool keep(const ReplicaSet& set, std::size_t length, std::vector<std::int32_t>& lengths) {
    if (active_.size() == 1) {
      holding_[0] = set.mask();
    } else {
      set.copy_to(holding_);
    }
    std::uint64_t any = 0;
    for (std::size_t word = 0; word < active_.size(); ++word) {
      const std::uint64_t ended = active_[word] & ~holding_[word];
      if (ended != 0) set_length(lengths, length, word, ended);
      active_[word] &= holding_[word];
      any |= active_[word];
    }
    return any != 0;
  }
  // lengths[r] = length for the replicas r of one word of a mask.
  static void set_length(std::vector<std::int32_t>& lengths, std::size_t length, std::size_t word,
                         std::uint64_t replicas) {
    for (; replicas != 0; replicas &= replicas - 1)
      lengths[64 * word + static_cast<std::size_t>(std::countr_zero(replicas))] =
          static_cast<std::int32_t>(length);
  }

  std::size_t replicas_;
  std::vector<std::uint64_t> active_;  // replicas that hold every block so far
  std::vector<std::uint64_t> holding_;
};

}  // namespace kvsim
