#include "sim/store/mooncake_master.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

const MooncakeMaster::Object* MooncakeMaster::find(StoreKey key) const {
  const auto found = objects_.find(key);
  return found == objects_.end() || !found->second.complete ? nullptr : &found->second;
}

Bytes MooncakeMaster::allocated(Bytes bytes) const {
  return Bytes(
      static_cast<std::int64_t>(std::ceil(bytes.real() * (1 + options_.allocation_overhead))));
}

void MooncakeMaster::grant_lease(StoreKey key, Seconds now) {
  Object& object = objects_.at(key);
  if (ages_.erase({object.lease_end, object.sequence, key}) == 0) return;
  object.lease_end = std::max(object.lease_end, now + options_.lease);
  ages_.insert({object.lease_end, object.sequence, key});
}

bool MooncakeMaster::put_start(StoreKey key, Bytes bytes) {
  const Bytes size = allocated(bytes);
  Object object{.bytes = bytes, .sequence = sequence_};
  const std::size_t first = rng_.below(used_.size());
  for (std::size_t i = 0; i < used_.size(); ++i) {
    const std::size_t segment = (first + i) % used_.size();
    if (used_[segment] + size > options_.segment) continue;
    object.segments.push_back(static_cast<std::uint32_t>(segment));
    if (object.segments.size() == static_cast<std::size_t>(options_.replicas)) break;
  }
  if (object.segments.size() < static_cast<std::size_t>(options_.replicas)) return false;
  for (const std::uint32_t segment : object.segments) used_[segment] += size;
  used_all_ += size * options_.replicas;
  ++sequence_;
  objects_.emplace(key, std::move(object));
  return true;
}

void MooncakeMaster::put_end(StoreKey key, Seconds now) {
  Object& object = objects_.at(key);
  object.complete = true;
  object.lease_end = now;
  live_ += object.bytes;
  ages_.insert({object.lease_end, object.sequence, key});
}

void MooncakeMaster::set_offloading(StoreKey key) {
  Object& object = objects_.at(key);
  object.offloading = true;
  ages_.erase({object.lease_end, object.sequence, key});
  leaving_ += allocated(object.bytes) * static_cast<std::int64_t>(object.segments.size());
}

void MooncakeMaster::free_memory(Object& object) {
  const Bytes size = allocated(object.bytes);
  for (const std::uint32_t segment : object.segments) used_[segment] -= size;
  const Bytes all = size * static_cast<std::int64_t>(object.segments.size());
  used_all_ -= all;
  if (object.offloading) leaving_ -= all;
  object.segments.clear();
  object.in_memory = false;
}

void MooncakeMaster::erase(StoreKey key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return;
  Object& object = found->second;
  ages_.erase({object.lease_end, object.sequence, key});
  if (object.in_memory) free_memory(object);
  if (object.complete) live_ -= object.bytes;
  objects_.erase(found);
}

void MooncakeMaster::leave_memory(StoreKey key) {
  Object& object = objects_.at(key);
  free_memory(object);
}

void MooncakeMaster::clear() {
  objects_.clear();
  ages_.clear();
  used_.assign(used_.size(), Bytes(0));
  used_all_ = leaving_ = live_ = Bytes(0);
}

std::vector<StoreKey> MooncakeMaster::victims(Seconds now) const {
  const double over = (used_all_ - leaving_).real() / capacity().real() - options_.high_watermark;
  const double share = options_.eviction_ratio + std::max(0.0, over);
  const auto wanted =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(ages_.size())));
  std::vector<StoreKey> out;
  for (const Age& age : ages_) {
    if (out.size() == wanted || age.lease_end > now) break;
    out.push_back(age.key);
  }
  return out;
}

std::optional<Seconds> MooncakeMaster::next_lease_end() const {
  if (ages_.empty()) return std::nullopt;
  return ages_.begin()->lease_end;
}

}  // namespace kvsim
