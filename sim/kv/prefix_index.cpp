#include "sim/kv/prefix_index.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/check.hpp"

namespace kvsim {
PrefixIndex::PrefixIndex(const Options& options)
    : options_(options),
      replicas_(static_cast<std::size_t>(std::max(options.replicas, 0))),
      match_(replicas_.size()) {
  KV_CHECK(options.replicas > 0 && options.capacity > 0, "{} replicas, {} hashes", options.replicas,
           options.capacity);
}

void PrefixIndex::match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& blocks) {
  match_.match(holders_, hashes, blocks);
}

void PrefixIndex::prefetch_first(std::span<const BlockHash> hashes) const {
  for (const BlockHash hash : hashes.first(std::min(LeadingMatch::kAhead, hashes.size()))) {
    holders_.prefetch(hash);
  }
}

void PrefixIndex::insert(std::int32_t replica, std::span<const BlockHash> hashes) {
  KV_CHECK(replica >= 0 && replica < options_.replicas, "replica {}", replica);
  Replica& mine = replicas_[static_cast<std::size_t>(replica)];
  prefetch_first(hashes);
  // What will be forgotten for this request is prefetched like its own hashes.
  std::int32_t doomed = mine.nodes[0].younger;
  const auto prefetch_doomed = [&] {
    holders_.prefetch(mine.nodes[doomed].hash);
    doomed = mine.nodes[doomed].younger;
  };
  const bool full = size(replica) == options_.capacity;
  for (std::size_t i = 0; full && i < std::min(LeadingMatch::kAhead, hashes.size()); ++i)
    prefetch_doomed();
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (i + LeadingMatch::kAhead < hashes.size())
      holders_.prefetch(hashes[i + LeadingMatch::kAhead]);
    if (const ReplicaSet* set = holders_.find(hashes[i]); set != nullptr) {
      if (const ReplicaSet::Number* node = set->find(replica); node != nullptr) {
        link(mine, mine.nodes[*node].older, mine.nodes[*node].younger);
        make_youngest(mine, *node);
        continue;
      }
    }
    std::int32_t node = static_cast<std::int32_t>(mine.nodes.size());
    if (node > options_.capacity) {
      if (full) prefetch_doomed();
      node = forget_oldest(replica);
    } else {
      mine.nodes.emplace_back();
    }
    mine.nodes[node].hash = hashes[i];
    make_youngest(mine, node);
    holders_[hashes[i]].add(replica, node, options_.replicas);
  }
}

void PrefixIndex::trim(std::int32_t replica, std::int32_t most) {
  Replica& mine = replicas_.at(static_cast<std::size_t>(replica));
  while (size(replica) > most) {
    const std::int32_t hole = forget_oldest(replica);
    const auto last = static_cast<std::int32_t>(mine.nodes.size()) - 1;
    if (hole != last) {  // the last node moves there: nodes have no holes
      mine.nodes[hole] = mine.nodes[last];
      link(mine, mine.nodes[hole].older, hole);
      link(mine, hole, mine.nodes[hole].younger);
      ReplicaSet* set = holders_.find(mine.nodes[hole].hash);
      set->remove(replica);
      set->add(replica, hole, options_.replicas);
    }
    mine.nodes.pop_back();
  }
}

void PrefixIndex::remove_replica(std::int32_t replica) {
  Replica& mine = replicas_.at(static_cast<std::size_t>(replica));
  while (mine.nodes[0].younger != 0) (void)forget_oldest(replica);
  mine = Replica{};
}

std::int32_t PrefixIndex::size(std::int32_t replica) const {
  return static_cast<std::int32_t>(replicas_.at(static_cast<std::size_t>(replica)).nodes.size()) -
         1;
}

void PrefixIndex::link(Replica& replica, std::int32_t older, std::int32_t younger) {
  replica.nodes[older].younger = younger;
  replica.nodes[younger].older = older;
}

void PrefixIndex::make_youngest(Replica& replica, std::int32_t node) {
  link(replica, replica.nodes[0].older, node);
  link(replica, node, 0);
}

std::int32_t PrefixIndex::forget_oldest(std::int32_t replica) {
  Replica& mine = replicas_[static_cast<std::size_t>(replica)];
  const std::int32_t oldest = mine.nodes[0].younger;
  const BlockHash hash = mine.nodes[oldest].hash;
  ReplicaSet* set = holders_.find(hash);
  KV_CHECK(set != nullptr, "hash {:#x} of replica {} is not in the map", hash, replica);
  set->remove(replica);
  if (set->empty()) holders_.erase(hash);
  link(mine, 0, mine.nodes[oldest].younger);
  return oldest;
}

}  // namespace kvsim
