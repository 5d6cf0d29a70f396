#include "sim/frontend/route_dynamo_kv_index.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {
namespace {

// Calls work(hash) for each, with the map's slots on their way some time before.
template <class Work>
void with_prefetch(const ReplicaBlocks& blocks, std::span<const BlockHash> hashes, Work&& work) {
  for (const BlockHash hash : hashes.first(std::min(LeadingMatch::kAhead, hashes.size())))
    blocks.prefetch(hash);
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (i + LeadingMatch::kAhead < hashes.size()) blocks.prefetch(hashes[i + LeadingMatch::kAhead]);
    work(hashes[i]);
  }
}

}  // namespace

ReplicaBlocks::ReplicaBlocks(std::int32_t replicas)
    : sizes_(static_cast<std::size_t>(replicas)), match_(static_cast<std::size_t>(replicas)) {}

void ReplicaBlocks::match(std::span<const BlockHash> hashes, std::vector<std::int32_t>& lengths) {
  match_.match(holders_, hashes, lengths);
}

ReplicaBlocks::Number& ReplicaBlocks::number(BlockHash hash, std::int32_t replica) {
  ReplicaSet& set = holders_[hash];
  if (Number* found = set.find(replica); found != nullptr) return *found;
  ++sizes_[static_cast<std::size_t>(replica)];
  set.add(replica, 0, static_cast<std::int32_t>(sizes_.size()));
  return *set.find(replica);
}

ReplicaBlocks::Number& ReplicaBlocks::held_number(BlockHash hash, std::int32_t replica) {
  ReplicaSet* set = holders_.find(hash);
  Number* found = set == nullptr ? nullptr : set->find(replica);
  KV_CHECK(found != nullptr, "replica {} does not hold hash {:#x}", replica, hash);
  return *found;
}

void ReplicaBlocks::erase(BlockHash hash, std::int32_t replica) {
  ReplicaSet* set = holders_.find(hash);
  KV_CHECK(set != nullptr, "hash {:#x} of replica {} is not in the map", hash, replica);
  set->remove(replica);
  if (set->empty()) holders_.erase(hash);
  --sizes_[static_cast<std::size_t>(replica)];
}

void ActiveBlocks::add(std::int32_t replica, std::span<const BlockHash> hashes) {
  with_prefetch(counts_, hashes, [&](BlockHash hash) { ++counts_.number(hash, replica); });
}

void ActiveBlocks::remove(std::int32_t replica, std::span<const BlockHash> hashes) {
  with_prefetch(counts_, hashes, [&](BlockHash hash) {
    if (--counts_.held_number(hash, replica) == 0) counts_.erase(hash, replica);
  });
}

void RecentBlocks::expire(Seconds now) {
  while (nodes_[0].younger != 0) {
    const std::int32_t oldest = nodes_[0].younger;
    const Node& entry = nodes_[static_cast<std::size_t>(oldest)];
    if (entry.inserted + kept_ > now) return;
    // The next to be forgotten, on its way meanwhile.
    nodes_of_.prefetch(nodes_[static_cast<std::size_t>(entry.younger)].hash);
    forget(oldest);
  }
}

void RecentBlocks::insert(std::int32_t replica, std::span<const BlockHash> hashes, Seconds now) {
  with_prefetch(nodes_of_, hashes, [&](BlockHash hash) {
    ReplicaBlocks::Number& node = nodes_of_.number(hash, replica);
    if (node == 0) {
      node = unused_node();
    } else {
      unlink(node);
    }
    Node& entry = nodes_[static_cast<std::size_t>(node)];
    entry.hash = hash;
    entry.replica = replica;
    entry.inserted = now;
    make_youngest(node);
  });
}

void RecentBlocks::clear(std::int32_t replica) {
  for (std::int32_t node = nodes_[0].younger; node != 0;) {
    const Node& entry = nodes_[static_cast<std::size_t>(node)];
    const std::int32_t next = entry.younger;
    if (entry.replica == replica) forget(node);
    node = next;
  }
}

void RecentBlocks::unlink(std::int32_t node) {
  const Node& entry = nodes_[static_cast<std::size_t>(node)];
  nodes_[static_cast<std::size_t>(entry.older)].younger = entry.younger;
  nodes_[static_cast<std::size_t>(entry.younger)].older = entry.older;
}

void RecentBlocks::make_youngest(std::int32_t node) {
  Node& entry = nodes_[static_cast<std::size_t>(node)];
  entry.older = nodes_[0].older;
  entry.younger = 0;
  nodes_[static_cast<std::size_t>(entry.older)].younger = node;
  nodes_[0].older = node;
}

std::int32_t RecentBlocks::unused_node() {
  if (unused_ == 0) {
    nodes_.emplace_back();
    return static_cast<std::int32_t>(nodes_.size()) - 1;
  }
  const std::int32_t node = unused_;
  unused_ = nodes_[static_cast<std::size_t>(node)].younger;
  return node;
}

void RecentBlocks::forget(std::int32_t node) {
  unlink(node);
  Node& entry = nodes_[static_cast<std::size_t>(node)];
  nodes_of_.erase(entry.hash, entry.replica);
  entry.younger = unused_;
  unused_ = node;
}

}  // namespace kvsim
