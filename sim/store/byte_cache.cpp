#include "sim/store/byte_cache.hpp"

#include <algorithm>

namespace kvsim {

void ByteCache::link_newest(std::uint32_t slot) {
  nodes_[slot].newer = kNone;
  nodes_[slot].older = newest_;
  if (newest_ != kNone) nodes_[newest_].newer = slot;
  newest_ = slot;
  if (oldest_ == kNone) oldest_ = slot;
}

void ByteCache::unlink(std::uint32_t slot) {
  const Node& node = nodes_[slot];
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
}

ByteCache::Entry ByteCache::take(std::uint32_t slot) {
  const Entry entry = nodes_[slot].entry;
  unlink(slot);
  bytes_ -= entry.bytes;
  index_.erase(entry.key);
  free_.push_back(slot);
  return entry;
}

std::optional<ByteCache::Entry> ByteCache::find(std::uint64_t key) const {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  return nodes_[found->second].entry;
}

bool ByteCache::touch(std::uint64_t key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return false;
  if (newest_ != found->second) {
    unlink(found->second);
    link_newest(found->second);
  }
  return true;
}

const std::vector<ByteCache::Entry>& ByteCache::insert(const Entry& entry) {
  gone_.clear();
  (void)erase(entry.key);
  while (oldest_ != kNone && bytes_ + entry.bytes > capacity_) gone_.push_back(take(oldest_));
  if (entry.bytes > capacity_) return gone_;
  std::uint32_t slot = static_cast<std::uint32_t>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  nodes_[slot].entry = entry;
  link_newest(slot);
  index_.emplace(entry.key, slot);
  bytes_ += entry.bytes;
  return gone_;
}

std::optional<ByteCache::Entry> ByteCache::erase(std::uint64_t key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  return take(found->second);
}

void ByteCache::shrink(std::uint64_t key, Bytes by) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  Entry& entry = nodes_[found->second].entry;
  const Bytes off = std::min(by, entry.bytes);
  entry.bytes -= off;
  bytes_ -= off;
  if (entry.bytes == Bytes(0)) take(found->second);
}

std::optional<ByteCache::Entry> ByteCache::oldest() const {
  if (oldest_ == kNone) return std::nullopt;
  return nodes_[oldest_].entry;
}

void ByteCache::clear() {
  nodes_.clear();
  free_.clear();
  index_.clear();
  newest_ = oldest_ = kNone;
  bytes_ = Bytes(0);
}

}  // namespace kvsim
