// The KV blocks of one engine in GPU memory: which are free, which hold cached content, who uses
// them. Behaves as vLLM V1's pool (vllm.md section 4):
//
//   - Free blocks stand in a queue, allocation takes its front. A finished request's blocks go to
//     its tail, last block first, and stay hittable until allocation reaches them.
//   - A hit takes the block out of the queue and adds a reference.
//   - Content computed twice lies in two blocks; the one cached first is hit, and when it goes the
//     next takes its place.
//   - Block 0 is a placeholder that is never handed out.
//
// Every operation is O(blocks given). 22.4 bytes a block, touched when first used; operations take
// all blocks of a request at once because they overlap the cache misses of several blocks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/kv/block_listener.hpp"
#include "sim/kv/block_table.hpp"

namespace kvsim {

class BlockPool {
 public:
  struct Options {
    std::int32_t blocks = 2;  // with the placeholder, as vLLM counts; >= 2
    bool caching = true;      // false: nothing is ever hittable
    // Freed blocks without cached content (a request's partial tail) go to the front of the queue,
    // so that they are reused first (vLLM since June 2026); before, to its tail.
    bool unhashed_to_front = true;
  };
  explicit BlockPool(const Options& options);

  [[nodiscard]] std::int32_t total() const { return options_.blocks; }
  // Blocks that allocate() could hand out, cached but unreferenced ones included.
  [[nodiscard]] std::int32_t free() const { return free_; }
  // References of requests beyond the first of each block: what they share. Held ones do not count.
  [[nodiscard]] std::int64_t repeated() const { return repeated_; }
  // Share of the blocks that requests hold, 0..1: what vLLM publishes.
  [[nodiscard]] double usage() const;
  [[nodiscard]] std::int64_t evicted_blocks() const { return evicted_; }
  // Blocks with cached content; for checks, O(blocks).
  [[nodiscard]] std::int64_t cached_blocks() const;

  // How many of the leading `hashes` are cached.
  [[nodiscard]] std::int64_t match(std::span<const BlockHash> hashes) const;
  // How many of `hashes`, all cached, no request holds: sharing them takes them off free().
  [[nodiscard]] std::int64_t unreferenced(std::span<const BlockHash> hashes) const;
  // Adds a reference to the block of each of `hashes`, all cached; appends the blocks to `out`.
  void share(std::span<const BlockHash> hashes, std::vector<BlockId>& out);
  // Appends `count` <= free() blocks to `out`, one reference each, their old content evicted.
  void allocate(std::int64_t count, std::vector<BlockId>& out);
  // Makes full blocks hittable: blocks[i], referenced and not cached yet, holds hashes[i].
  void cache(std::span<const BlockId> blocks, std::span<const BlockHash> hashes);
  // Takes back one reference of each block of a request, given in the order of its content.
  void release(std::span<const BlockId> blocks) { give_back(blocks, 1); }
  // A request has ended, but its blocks are still being copied: its references become held ones,
  // which keep the blocks until release_held().
  void hold(std::span<const BlockId> blocks);
  void release_held(std::span<const BlockId> blocks) { give_back(blocks, kHeld); }
  // Forgets all content and all references, as a restarted engine does.
  void clear();

  // Who hears of cached, shared and evicted blocks. Not owned.
  void add_listener(BlockListener* listener) { listeners_.push_back(listener); }
  void remove_listener(BlockListener* listener) { std::erase(listeners_, listener); }

 private:
  static constexpr std::int32_t kInUse = INT32_MIN;
  // Blocks in use count the references of requests in steps of 1, held ones in steps of this.
  static constexpr std::int32_t kHeld = 1 << 20;
  // Blocks whose cache misses are overlapped.
  static constexpr std::int64_t kBatch = 32;

  [[nodiscard]] bool in_use(BlockId id) const { return blocks_[id].previous == kInUse; }
  [[nodiscard]] BlockId next(BlockId id) const { return id + 1 + blocks_[id].next; }
  [[nodiscard]] BlockId previous(BlockId id) const { return id - 1 + blocks_[id].previous; }
  void link(BlockId first, BlockId second) {
    blocks_[first].next = second - first - 1;
    blocks_[second].previous = first - second + 1;
  }
  [[nodiscard]] bool requested(BlockId id) const { return blocks_[id].next % kHeld > 0; }
  void give_back(std::span<const BlockId> blocks, std::int32_t reference);
  void evict(BlockId id);

  Options options_;
  std::int32_t free_ = 0;
  std::int64_t evicted_ = 0;
  std::int64_t repeated_ = 0;
  std::vector<BlockListener*> listeners_;
  // The free queue is a ring through block 0: its next is the front, its previous the tail.
  ZeroedArray<Block> blocks_;
  BlockTable table_;
};

}  // namespace kvsim
