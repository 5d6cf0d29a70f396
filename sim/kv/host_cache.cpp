#include "sim/kv/host_cache.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

HostCache::HostCache(const Options& options, std::unique_ptr<Eviction> eviction)
    : options_(options), eviction_(std::move(eviction)) {
  KV_CHECK(options.capacity >= 0 && options.tracked > 0 && eviction_ != nullptr);
}

HostCache::Lookup HostCache::lookup(BlockHash chunk) {
  if (options_.capacity == 0) return Lookup::kMiss;
  eviction_->touched(chunk);
  return look(chunk);
}

ChunkPrefix HostCache::lookup(std::span<const BlockHash> chunks) {
  ChunkPrefix prefix;
  if (options_.capacity == 0) return prefix;
  for (const BlockHash chunk : chunks) chunks_.prefetch(chunk);
  for (std::size_t i = chunks.size(); i-- > 0;) eviction_->touched(chunks[i]);
  for (const BlockHash chunk : chunks) {
    const Lookup state = look(chunk);
    if (state == Lookup::kMiss) break;
    ++prefix.chunks;
    if (state == Lookup::kPending) prefix.pending = true;
    if (!prefix.pending) ++prefix.ready;
    if (chunks_.find(chunk)->loads > 0) prefix.loading = true;
  }
  return prefix;
}

HostCache::Lookup HostCache::look(BlockHash chunk) {
  if (options_.store_threshold >= 2) count_lookup(chunk);
  ++lookups_;
  const Chunk* found = chunks_.find(chunk);
  if (found == nullptr) return Lookup::kMiss;
  ++hits_;
  return found->ready ? Lookup::kReady : Lookup::kPending;
}

void HostCache::count_lookup(BlockHash chunk) {
  if (!looked_up_.contains(chunk) && looked_up_.size() >= options_.tracked) {
    lookups_of_.erase(looked_up_.pop_front());
  }
  looked_up_.push_back(chunk);
  ++lookups_of_[chunk];
}

bool HostCache::begin_store(BlockHash chunk) {
  if (options_.capacity == 0 || !wanted(chunk)) return false;
  if (!make_room(1)) return false;
  insert(chunk);
  return true;
}

bool HostCache::begin_store(std::span<const BlockHash> chunks, std::vector<BlockHash>& begun) {
  if (options_.capacity == 0) return false;
  const std::size_t before = begun.size();
  for (const BlockHash chunk : chunks) {
    if (wanted(chunk)) begun.push_back(chunk);
  }
  const auto count = static_cast<std::int64_t>(begun.size() - before);
  const bool evicts = size() + count > options_.capacity;
  std::vector<BlockHash> kept;
  for (const BlockHash chunk : chunks) {
    const Chunk* here = evicts ? chunks_.find(chunk) : nullptr;
    if (here != nullptr && here->ready && !here->pinned()) kept.push_back(chunk);
  }
  for (const BlockHash chunk : kept) pin(chunk);
  const bool room = make_room(count);
  for (const BlockHash chunk : kept) unpin(chunk);
  if (!room) {
    begun.resize(before);
    return false;
  }
  for (std::size_t i = before; i < begun.size(); ++i) insert(begun[i]);
  return true;
}

bool HostCache::wanted(BlockHash chunk) {
  if (options_.store_threshold >= 2) {
    const std::int32_t* lookups = lookups_of_.find(chunk);
    if (lookups == nullptr || *lookups < options_.store_threshold) {
      ++skipped_;
      return false;
    }
  }
  return !contains(chunk);
}

bool HostCache::make_room(std::int64_t count) {
  const std::int64_t victims = size() + count - options_.capacity;
  if (victims > evictable_) {
    dropped_ += count;
    return false;
  }
  for (std::int64_t i = 0; i < victims; ++i) {
    const std::optional<BlockHash> victim = eviction_->evict();
    KV_CHECK(victim && chunks_.erase(*victim), "the eviction policy named no chunk of the cache");
    --evictable_;
    ++evicted_;
    for (BlockListener* listener : listeners_) listener->evicted(*victim);
  }
  return true;
}

void HostCache::insert(BlockHash chunk) {
  chunks_[chunk] = Chunk{};
  ++stores_;
  eviction_->inserted(chunk);
}

void HostCache::end_store(BlockHash chunk, bool stored) {
  if (end_cleared(chunk, &UnderWay::stores)) return;
  Chunk* found = chunks_.find(chunk);
  KV_CHECK(found != nullptr && !found->ready, "chunk {:#x} is not being stored", chunk);
  if (!stored) {
    eviction_->removed(chunk);
    chunks_.erase(chunk);
    return;
  }
  found->ready = true;
  unpin(chunk);
  for (BlockListener* listener : listeners_) listener->cached(chunk);
}

void HostCache::begin_load(BlockHash chunk) {
  Chunk* found = chunks_.find(chunk);
  KV_CHECK(found != nullptr && found->ready, "chunk {:#x} is not ready", chunk);
  if (!found->pinned()) pin(chunk);
  ++found->loads;
  for (BlockListener* listener : listeners_) listener->used(chunk);
}

void HostCache::end_load(BlockHash chunk) {
  if (end_cleared(chunk, &UnderWay::loads)) return;
  Chunk* found = chunks_.find(chunk);
  KV_CHECK(found != nullptr && found->loads > 0, "chunk {:#x} is not being loaded", chunk);
  --found->loads;
  if (!found->pinned()) unpin(chunk);
}

void HostCache::begin_read(BlockHash chunk) {
  Chunk* found = chunks_.find(chunk);
  KV_CHECK(found != nullptr && found->ready, "chunk {:#x} is not ready", chunk);
  if (!found->pinned()) pin(chunk);
  ++found->reads;
}

void HostCache::end_read(BlockHash chunk) {
  if (end_cleared(chunk, &UnderWay::reads)) return;
  Chunk* found = chunks_.find(chunk);
  KV_CHECK(found != nullptr && found->reads > 0, "chunk {:#x} is not being read", chunk);
  --found->reads;
  if (!found->pinned()) unpin(chunk);
}

void HostCache::clear() {
  std::vector<BlockHash> all;
  chunks_.for_each([&](BlockHash hash, const Chunk&) { all.push_back(hash); });
  std::sort(all.begin(), all.end());  // policies see an order that no table's history decides
  for (const BlockHash hash : all) {
    const Chunk& chunk = *chunks_.find(hash);
    if (!chunk.ready || chunk.pinned()) {
      UnderWay& left = cleared_[hash];
      left.stores += chunk.ready ? 0 : 1;
      left.loads += chunk.loads;
      left.reads += chunk.reads;
    } else {
      eviction_->pinned(hash);
    }
    eviction_->removed(hash);
  }
  chunks_ = {};
  evictable_ = 0;
  looked_up_ = {};
  lookups_of_ = {};
  for (BlockListener* listener : listeners_) listener->cleared();
}

// Where the same chunk was begun anew meanwhile, the first to end counts as the old one: as many
// ends are left as beginnings.
bool HostCache::end_cleared(BlockHash chunk, std::int32_t UnderWay::*what) {
  UnderWay* left = cleared_.size() > 0 ? cleared_.find(chunk) : nullptr;
  if (left == nullptr || left->*what == 0) return false;
  --(left->*what);
  if (left->stores + left->loads + left->reads == 0) cleared_.erase(chunk);
  return true;
}

void HostCache::pin(BlockHash chunk) {
  eviction_->pinned(chunk);
  --evictable_;
}

void HostCache::unpin(BlockHash chunk) {
  eviction_->unpinned(chunk);
  ++evictable_;
}

}  // namespace kvsim
