#include "sim/kv/host_pool.hpp"

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
}

void HostPool::release(Bytes bytes) { used_ -= rounded(bytes); }

void HostPool::keep(BlockHash key, Bytes bytes) {
  KV_CHECK(!contains(key));
  entries_[key] = {rounded(bytes), 1};
  kept_ += bytes;
  eviction_->inserted(key);
}

void HostPool::pin(BlockHash key) {
  Entry& entry = *entries_.find(key);
  if (entry.pins++ > 0) return;
  evictable_ -= entry.bytes;
  eviction_->pinned(key);
}

void HostPool::unpin(BlockHash key) {
  Entry& entry = *entries_.find(key);
  KV_CHECK(entry.pins > 0);
  if (--entry.pins > 0) return;
  evictable_ += entry.bytes;
  eviction_->unpinned(key);
}

void HostPool::let_go(BlockHash key) {
  Entry& entry = *entries_.find(key);
  KV_CHECK(entry.pins > 0);
  if (--entry.pins > 0) return;
  used_ -= entry.bytes;
  entries_.erase(key);
  eviction_->removed(key);
}

}  // namespace kvsim
