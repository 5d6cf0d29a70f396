#include "sim/kv/replica_set.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/check.hpp"

namespace kvsim {
namespace {

std::uint64_t bit(std::int32_t replica) { return 1ULL << (replica % 64); }

}  // namespace

std::span<const ReplicaSet::Holder> ReplicaSet::listed() const {
  const Listed* list = std::get_if<Listed>(&holders_);
  const Holder* first = list != nullptr ? list->get() : std::get_if<Holder>(&holders_);
  return {first, static_cast<std::size_t>(size_)};
}

std::span<ReplicaSet::Holder> ReplicaSet::listed() {
  Listed* list = std::get_if<Listed>(&holders_);
  Holder* first = list != nullptr ? list->get() : std::get_if<Holder>(&holders_);
  return {first, static_cast<std::size_t>(size_)};
}

const ReplicaSet::Number* ReplicaSet::find(std::int32_t replica) const {
  if (const auto* mask = std::get_if<std::unique_ptr<Mask>>(&holders_); mask != nullptr) {
    const bool inside = ((*mask)->bits[static_cast<std::size_t>(replica) / 64] & bit(replica)) != 0;
    return inside ? &(*mask)->numbers[static_cast<std::size_t>(replica)] : nullptr;
  }
  for (const Holder& holder : listed()) {
    if (holder.replica == replica) return &holder.number;
  }
  return nullptr;
}

void ReplicaSet::add(std::int32_t replica, Number number, std::int32_t replicas) {
  if (size_ == kListedMax && !std::holds_alternative<std::unique_ptr<Mask>>(holders_)) {
    make_mask(replicas);
  }
  if (auto* mask = std::get_if<std::unique_ptr<Mask>>(&holders_); mask != nullptr) {
    (*mask)->bits[static_cast<std::size_t>(replica) / 64] |= bit(replica);
    (*mask)->numbers[static_cast<std::size_t>(replica)] = number;
    ++size_;
    return;
  }
  const auto size = static_cast<std::uint32_t>(size_);
  if (size > 0 && std::has_single_bit(size)) {
    Listed larger = std::make_unique<Holder[]>(2 * static_cast<std::size_t>(size));
    std::copy_n(listed().begin(), size_, larger.get());
    holders_ = std::move(larger);
  }
  ++size_;
  listed().back() = {replica, number};
}

void ReplicaSet::remove(std::int32_t replica) {
  if (auto* mask = std::get_if<std::unique_ptr<Mask>>(&holders_); mask != nullptr) {
    (*mask)->bits[static_cast<std::size_t>(replica) / 64] &= ~bit(replica);
    if (--size_ == kListedMax / 2) make_list();
    return;
  }
  const std::span<Holder> all = listed();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Holder& holder) { return holder.replica == replica; });
  KV_CHECK(found != all.end(), "replica {} is not in the set", replica);
  *found = all.back();
  --size_;
  // add() takes it that the array is full when the size is a power of two.
  const auto size = static_cast<std::uint32_t>(size_);
  if (size == 0 || !std::has_single_bit(size)) return;
  if (size == 1) {
    holders_ = Holder(all.front());
    return;
  }
  Listed smaller = std::make_unique<Holder[]>(size);
  std::copy_n(all.begin(), size_, smaller.get());
  holders_ = std::move(smaller);
}

void ReplicaSet::copy_to(std::span<std::uint64_t> mask) const {
  if (const auto* own = std::get_if<std::unique_ptr<Mask>>(&holders_); own != nullptr) {
    std::copy((*own)->bits.begin(), (*own)->bits.end(), mask.begin());
    return;
  }
  std::fill(mask.begin(), mask.end(), 0);
  for (const Holder& holder : listed()) {
    mask[static_cast<std::size_t>(holder.replica) / 64] |= bit(holder.replica);
  }
}

void ReplicaSet::make_mask(std::int32_t replicas) {
  auto mask = std::make_unique<Mask>();
  mask->bits.resize((static_cast<std::size_t>(replicas) + 63) / 64);
  mask->numbers.resize(static_cast<std::size_t>(replicas));
  for (const Holder& holder : listed()) {
    mask->bits[static_cast<std::size_t>(holder.replica) / 64] |= bit(holder.replica);
    mask->numbers[static_cast<std::size_t>(holder.replica)] = holder.number;
  }
  holders_ = std::move(mask);
}

void ReplicaSet::make_list() {
  const std::unique_ptr<Mask> mask = std::get<std::unique_ptr<Mask>>(std::move(holders_));
  Listed list = std::make_unique<Holder[]>(static_cast<std::size_t>(size_));
  std::size_t count = 0;
  for (std::size_t word = 0; word < mask->bits.size(); ++word) {
    for (std::uint64_t rest = mask->bits[word]; rest != 0; rest &= rest - 1) {
      const std::size_t replica = 64 * word + static_cast<std::size_t>(std::countr_zero(rest));
      list[count++] = {static_cast<std::int32_t>(replica), mask->numbers[replica]};
    }
  }
  holders_ = std::move(list);
}

}  // namespace kvsim
