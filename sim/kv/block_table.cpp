#include "sim/kv/block_table.hpp"

#include <bit>
#include <cstring>

#include "sim/base/check.hpp"

namespace kvsim {
namespace {

// Ids leave at least five bits of an entry to the hash.
constexpr std::int32_t kBlocksMax = 1 << 26;
// Mean entries of a bucket when every block is cached: one bucket in twenty overflows.
constexpr std::uint32_t kEntriesMean = 10;

// Spreads hashes that differ in few bits only.
std::uint64_t spread(BlockHash hash) { return hash * 0x9e3779b97f4a7c15ULL; }

// Four words that gcc and clang compare at once on every processor.
using Four = std::uint32_t __attribute__((vector_size(16)));

// Bit i is set when entry i of a bucket, masked, equals `wanted`.
std::uint32_t equal_entries(const std::uint32_t* words, std::uint32_t mask, std::uint32_t wanted) {
  static constexpr Four kBits[4] = {{1U << 0, 1U << 1, 1U << 2, 1U << 3},
                                    {1U << 4, 1U << 5, 1U << 6, 1U << 7},
                                    {1U << 8, 1U << 9, 1U << 10, 1U << 11},
                                    {1U << 12, 1U << 13, 1U << 14, 0}};
  Four equal{};
  for (int i = 0; i < 4; ++i) {
    Four four;
    std::memcpy(&four, words + 4 * i, sizeof four);
    equal |= static_cast<Four>((four & mask) == wanted) & kBits[i];
  }
  return equal[0] | equal[1] | equal[2] | equal[3];
}

}  // namespace

BlockTable::BlockTable(const Block* blocks, std::int32_t count)
    : blocks_(blocks),
      count_(count),
      bucket_count_(static_cast<std::uint32_t>(count) / kEntriesMean + 1),
      id_mask_((1U << std::bit_width(static_cast<std::uint32_t>(count))) - 1),
      several_(id_mask_ + 1),
      tag_mask_(~(id_mask_ | several_)),
      buckets_(bucket_count_) {
  KV_CHECK(count > 0 && count <= kBlocksMax, "{} blocks", count);
}

const BlockTable::Bucket* BlockTable::home(BlockHash hash) const {
  const std::uint64_t high = spread(hash) >> 32;
  return &buckets_[(high * bucket_count_) >> 32];
}

const BlockTable::Bucket* BlockTable::after(const Bucket* bucket) const {
  const Bucket* next = bucket + 1;
  return next == buckets_.data() + bucket_count_ ? buckets_.data() : next;
}

std::uint32_t BlockTable::tag(BlockHash hash) const {
  return static_cast<std::uint32_t>(spread(hash)) & tag_mask_;
}

const std::uint32_t* BlockTable::entry(BlockHash hash) const {
  const std::uint32_t wanted = tag(hash);
  for (const Bucket* bucket = home(hash);; bucket = after(bucket)) {
    std::uint32_t equal = equal_entries(bucket->words, tag_mask_, wanted);
    for (; equal != 0; equal &= equal - 1) {
      // An empty entry names block 0, whose hash no content has.
      const std::uint32_t* found = &bucket->words[std::countr_zero(equal)];
      if (blocks_[*found & id_mask_].hash == hash) return found;
    }
    if (bucket->words[kPassedOn] == 0) return nullptr;
  }
}

BlockId BlockTable::find(BlockHash hash) const {
  const std::uint32_t* found = entry(hash);
  return found == nullptr ? 0 : static_cast<BlockId>(*found & id_mask_);
}

void BlockTable::insert(BlockHash hash, BlockId id) {
  if (std::uint32_t* same = entry(hash); same != nullptr) return add_duplicate(*same, id);
  Bucket* bucket = home(hash);
  std::uint32_t empty = 0;
  while ((empty = equal_entries(bucket->words, ~0U, 0)) == 0) {
    ++bucket->words[kPassedOn];
    bucket = const_cast<Bucket*>(after(bucket));
  }
  bucket->words[std::countr_zero(empty)] = tag(hash) | static_cast<std::uint32_t>(id);
}

void BlockTable::erase(BlockHash hash, BlockId id) {
  Bucket* const start = home(hash);
  for (Bucket* bucket = start;; bucket = const_cast<Bucket*>(after(bucket))) {
    const std::uint32_t equal =
        equal_entries(bucket->words, id_mask_, static_cast<std::uint32_t>(id));
    if (equal != 0) {
      std::uint32_t& found = bucket->words[std::countr_zero(equal)];
      if ((found & several_) != 0) {
        const BlockId heir = leave_ring(id);
        found = tag(hash) | (alone(heir) ? 0 : several_) | static_cast<std::uint32_t>(heir);
        return;
      }
      found = 0;
      for (Bucket* full = start; full != bucket; full = const_cast<Bucket*>(after(full))) {
        --full->words[kPassedOn];
      }
      return;
    }
    if (bucket->words[kPassedOn] == 0) break;
  }
  // Not the first of its content: it waits in a ring.
  KV_CHECK(!ring_.empty() && ring_[id].next != 0, "block {} is not in the table", id);
  const BlockId other = leave_ring(id);
  if (alone(other)) *entry(hash) &= ~several_;
}

void BlockTable::add_duplicate(std::uint32_t& entry, BlockId id) {
  if (ring_.empty()) ring_ = ZeroedArray<Ring>(static_cast<std::size_t>(count_));
  const auto first = static_cast<BlockId>(entry & id_mask_);
  if ((entry & several_) == 0) {
    ring_[first] = {first, first};
    entry |= several_;
  }
  const BlockId last = ring_[first].previous;
  ring_[id] = {first, last};
  ring_[last].next = id;
  ring_[first].previous = id;
}

BlockId BlockTable::leave_ring(BlockId id) {
  const Ring links = ring_[id];
  ring_[links.previous].next = links.next;
  ring_[links.next].previous = links.previous;
  ring_[id] = {0, 0};
  return links.next;
}

}  // namespace kvsim
