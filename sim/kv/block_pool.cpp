#include "sim/kv/block_pool.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

BlockPool::BlockPool(const Options& options)
    : options_(options),
      blocks_(static_cast<std::size_t>(std::max(options.blocks, 1))),
      table_(blocks_.data(), options.blocks) {
  KV_CHECK(options.blocks >= 2, "a pool needs the placeholder and a block: {}", options.blocks);
  free_ = options.blocks - 1;
  link(free_, 0);  // zeroed blocks are 0, 1, ... in a row; this closes the ring
}

double BlockPool::usage() const {
  return 1.0 - static_cast<double>(free_) / static_cast<double>(options_.blocks - 1);
}

std::int64_t BlockPool::cached_blocks() const {
  std::int64_t out = 0;
  for (BlockId id = 1; id < options_.blocks; ++id) out += blocks_[id].hash != 0 ? 1 : 0;
  return out;
}

std::int64_t BlockPool::match(std::span<const BlockHash> hashes) const {
  if (!options_.caching) return 0;
  const auto count = static_cast<std::int64_t>(hashes.size());
  // Most prompts miss early or hit far: look one ahead, then further and further.
  std::int64_t ahead = 1;
  for (std::int64_t start = 0; start < count;) {
    const std::int64_t end = std::min(count, start + ahead);
    for (std::int64_t i = start; i < end; ++i) table_.prefetch(hashes[i]);
    for (std::int64_t i = start; i < end; ++i) {
      if (table_.find(hashes[i]) == 0) return i;
    }
    start = end;
    ahead = std::min(4 * ahead, kBatch);
  }
  return count;
}

std::int64_t BlockPool::unreferenced(std::span<const BlockHash> hashes) const {
  std::int64_t count = 0;
  for (const BlockHash hash : hashes) count += in_use(table_.find(hash)) ? 0 : 1;
  return count;
}

void BlockPool::share(std::span<const BlockHash> hashes, std::vector<BlockId>& out) {
  for (const BlockHash hash : hashes) {
    const BlockId id = table_.find(hash);
    KV_CHECK(id != 0, "hash {:#x} is not cached", hash);
    if (in_use(id)) {
      repeated_ += requested(id) ? 1 : 0;
      ++blocks_[id].next;
    } else {
      link(previous(id), next(id));
      blocks_[id].previous = kInUse;
      blocks_[id].next = 1;
      --free_;
    }
    out.push_back(id);
  }
  for (BlockListener* listener : listeners_)
    for (const BlockHash hash : hashes) listener->used(hash);
}

void BlockPool::allocate(std::int64_t count, std::vector<BlockId>& out) {
  KV_CHECK(count >= 0 && count <= free_, "{} blocks wanted, {} free", count, free_);
  const std::size_t before = out.size();
  out.resize(before + static_cast<std::size_t>(count));
  BlockId* const taken = out.data() + before;
  BlockId front = next(0);
  for (std::int64_t start = 0; start < count; start += kBatch) {
    const std::int64_t end = std::min(count, start + kBatch);
    for (std::int64_t i = start; i < end; ++i) {
      taken[i] = front;
      if (blocks_[front].hash != 0) table_.prefetch(blocks_[front].hash);
      front = next(front);
    }
    for (std::int64_t i = start; i < end; ++i) {
      if (blocks_[taken[i]].hash != 0) evict(taken[i]);
      blocks_[taken[i]].previous = kInUse;
      blocks_[taken[i]].next = 1;
    }
  }
  link(0, front);
  free_ -= static_cast<std::int32_t>(count);
}

void BlockPool::evict(BlockId id) {
  const BlockHash hash = blocks_[id].hash;
  table_.erase(hash, id);
  blocks_[id].hash = 0;
  ++evicted_;
  for (BlockListener* listener : listeners_) listener->evicted(hash);
}

void BlockPool::cache(std::span<const BlockId> blocks, std::span<const BlockHash> hashes) {
  KV_CHECK(blocks.size() == hashes.size(), "{} blocks, {} hashes", blocks.size(), hashes.size());
  if (!options_.caching) return;
  const auto count = static_cast<std::int64_t>(blocks.size());
  for (std::int64_t start = 0; start < count; start += kBatch) {
    const std::int64_t end = std::min(count, start + kBatch);
    for (std::int64_t i = start; i < end; ++i) table_.prefetch(hashes[i]);
    for (std::int64_t i = start; i < end; ++i) {
      KV_CHECK(in_use(blocks[i]) && blocks_[blocks[i]].hash == 0 && hashes[i] != 0,
               "block {} is free or cached already", blocks[i]);
      table_.insert(hashes[i], blocks[i]);
      blocks_[blocks[i]].hash = hashes[i];
      for (BlockListener* listener : listeners_) listener->cached(hashes[i]);
    }
  }
}

void BlockPool::hold(std::span<const BlockId> blocks) {
  for (const BlockId id : blocks) {
    blocks_[id].next += kHeld - 1;
    repeated_ -= requested(id) ? 1 : 0;
  }
}

void BlockPool::give_back(std::span<const BlockId> blocks, std::int32_t reference) {
  BlockId tail = previous(0);
  BlockId first_unhashed = 0;
  BlockId last_unhashed = 0;
  for (std::size_t i = blocks.size(); i-- > 0;) {
    const BlockId id = blocks[i];
    Block& block = blocks_[id];
    KV_CHECK(in_use(id) && block.next >= reference, "block {} is free already", id);
    block.next -= reference;
    if (reference == 1 && requested(id)) --repeated_;
    if (block.next > 0) continue;
    ++free_;
    if (block.hash == 0 && options_.unhashed_to_front) {
      if (first_unhashed == 0) first_unhashed = id;
      if (last_unhashed != 0) link(last_unhashed, id);
      last_unhashed = id;
    } else {
      link(tail, id);
      tail = id;
    }
  }
  link(tail, 0);
  if (first_unhashed == 0) return;
  link(last_unhashed, next(0));
  link(0, first_unhashed);
}

void BlockPool::clear() {
  std::vector<BlockListener*> listeners = std::move(listeners_);
  const std::int64_t evicted = evicted_;
  *this = BlockPool(options_);
  listeners_ = std::move(listeners);
  evicted_ = evicted;
  for (BlockListener* listener : listeners_) listener->cleared();
}

}  // namespace kvsim
