#include "sim/kv/host_pool.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

HostPool::HostPool(Bytes capacity, std::unique_ptr<Eviction> eviction)
    : capacity_(capacity), eviction_(std::move(eviction)) {}

Bytes HostPool::rounded(Bytes bytes) {
  constexpr std::int64_t kAlignment = 4096;
  return Bytes(groups_of(bytes.count(), kAlignment) * kAlignment);
}

bool HostPool::reserve(Bytes bytes) {
  const Bytes size = rounded(bytes);
  if (size > capacity_ - used_ + evictable_) return false;
  while (size > capacity_ - used_) drop_coldest();
  used_ += size;
  return true;
}

bool HostPool::reserve_free(Bytes bytes) {
  const Bytes size = rounded(bytes);
  if (size > capacity_ - used_) return false;
  used_ += size;
  return true;
}

void HostPool::drop_coldest() {
  const auto victim = eviction_->evict();
  KV_CHECK(victim.has_value(), "{} bytes evictable", evictable_.count());
  const Entry entry = *entries_.find(*victim);
  entries_.erase(*victim);
  used_ -= entry.bytes;
  evictable_ -= entry.bytes;
  evicted_ += entry.bytes;
  for (BlockListener* listener : listeners_) listener->evicted(*victim);
}

void HostPool::clear() {
  std::vector<BlockHash> all;
  entries_.for_each([&](BlockHash key, const Entry&) { all.push_back(key); });
  std::sort(all.begin(), all.end());  // policies see an order that no table's history decides
  for (const BlockHash key : all) {
    const Entry& entry = *entries_.find(key);
    used_ -= entry.bytes;
    if (entry.pins > 0) {
      cleared_[key] += entry.pins;
    } else {
      eviction_->pinned(key);
    }
    eviction_->removed(key);
  }
  entries_ = {};
  evictable_ = Bytes(0);
  for (BlockListener* listener : listeners_) listener->cleared();
}

bool HostPool::unpin_cleared(BlockHash key) {
  std::int32_t* pins = cleared_.size() > 0 ? cleared_.find(key) : nullptr;
  if (pins == nullptr) return false;
  if (--*pins == 0) cleared_.erase(key);
  return true;
}

void HostPool::release(Bytes bytes) { used_ -= rounded(bytes); }

void HostPool::keep(BlockHash key, Bytes bytes) {
  KV_CHECK(!contains(key));
  entries_[key] = {rounded(bytes), 1};
  kept_ += bytes;
  eviction_->inserted(key);
  for (BlockListener* listener : listeners_) listener->cached(key);
}

void HostPool::touch(BlockHash key) {
  eviction_->touched(key);
  if (listeners_.empty() || !contains(key)) return;
  for (BlockListener* listener : listeners_) listener->used(key);
}

void HostPool::pin(BlockHash key) {
  Entry& entry = *entries_.find(key);
  if (entry.pins++ > 0) return;
  evictable_ -= entry.bytes;
  eviction_->pinned(key);
}

void HostPool::unpin(BlockHash key) {
  if (unpin_cleared(key)) return;
  Entry& entry = *entries_.find(key);
  KV_CHECK(entry.pins > 0);
  if (--entry.pins > 0) return;
  evictable_ += entry.bytes;
  eviction_->unpinned(key);
}

void HostPool::let_go(BlockHash key) {
  if (unpin_cleared(key)) return;
  Entry& entry = *entries_.find(key);
  KV_CHECK(entry.pins > 0);
  if (--entry.pins > 0) return;
  used_ -= entry.bytes;
  entries_.erase(key);
  eviction_->removed(key);
  for (BlockListener* listener : listeners_) listener->evicted(key);
}

}  // namespace kvsim
