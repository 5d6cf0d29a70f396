// From a content hash to the physical block that holds it: the hash table of a BlockPool.
//
// Built for pools that together overflow the CPU's caches: a bucket is one cache line of 15 entries
// and a lookup, insertion or removal touches one line of the table (a few in a hundred touch two).
// An entry is a block id with as many bits of the hash as 32 bits leave room for; the whole hash
// stands only in the block, which is read when those bits agree. A full bucket passes entries on to
// the next one and counts them, so a removal moves nothing.
//
// Several blocks may hold the same content. The table has one entry for all of them, naming the
// block that was inserted first; the others wait in a ring, in order of insertion. 6.4 bytes a
// block, and 8 more in pages where such duplicates lie.
#pragma once

#include <cstdint>

#include "sim/kv/zeroed_array.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

using BlockId = std::int32_t;  // physical block of one pool; 0 is the null block

// A physical block. All-zero bytes are a free block between its natural neighbours in the free
// queue, so that untouched pages are valid blocks.
struct Block {
  BlockHash hash = 0;         // 0: not hittable
  std::int32_t previous = 0;  // in the free queue: offset to id - 1; in use: BlockPool::kInUse
  std::int32_t next = 0;      // in the free queue: offset to id + 1; in use: references
};

class BlockTable {
 public:
  // `blocks` (`count` of them, block 0 never inserted) must outlive the table; a block's hash is
  // set right after insert() and cleared right after erase().
  BlockTable(const Block* blocks, std::int32_t count);

  // Starts loading the line that an operation on `hash` will need.
  void prefetch(BlockHash hash) const { __builtin_prefetch(home(hash), 1); }
  // The block first inserted under `hash` of those still here; 0 = none.
  [[nodiscard]] BlockId find(BlockHash hash) const;
  void insert(BlockHash hash, BlockId id);
  // `id` must have been inserted under `hash`.
  void erase(BlockHash hash, BlockId id);

 private:
  // One cache line: 15 entries (id | several flag | hash bits; 0 = empty), then the number of
  // entries that found this bucket full on their way.
  struct Bucket {
    std::uint32_t words[16];
  };
  static constexpr int kPassedOn = 15;
  struct Ring {
    BlockId next;
    BlockId previous;
  };

  [[nodiscard]] const Bucket* home(BlockHash hash) const;
  [[nodiscard]] Bucket* home(BlockHash hash) {
    return const_cast<Bucket*>(static_cast<const BlockTable*>(this)->home(hash));
  }
  [[nodiscard]] const Bucket* after(const Bucket* bucket) const;
  [[nodiscard]] std::uint32_t tag(BlockHash hash) const;
  [[nodiscard]] const std::uint32_t* entry(BlockHash hash) const;
  [[nodiscard]] std::uint32_t* entry(BlockHash hash) {
    return const_cast<std::uint32_t*>(static_cast<const BlockTable*>(this)->entry(hash));
  }
  void add_duplicate(std::uint32_t& entry, BlockId id);
  // Takes `id` out of its ring; returns the block that follows it.
  BlockId leave_ring(BlockId id);
  [[nodiscard]] bool alone(BlockId id) const { return ring_[id].next == id; }

  const Block* blocks_;
  std::int32_t count_;
  std::uint32_t bucket_count_;
  std::uint32_t id_mask_;
  std::uint32_t several_;  // flag: the entry's block heads a ring of duplicates
  std::uint32_t tag_mask_;
  ZeroedArray<Bucket> buckets_;
  ZeroedArray<Ring> ring_;  // made on the first duplicate
};

}  // namespace kvsim
