#include "sim/kv/replica_set.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "sim/base/check.hpp"

namespace kvsim {
namespace {

std::uint64_t bit(std::int32_t replica) { return 1ULL << (replica % 64); }
std::size_t word(std::int32_t replica) { return static_cast<std::size_t>(replica) / 64; }

}  // namespace

struct ReplicaSet::Mask {
  explicit Mask(std::int32_t replicas)
      : bits(static_cast<std::size_t>(replicas + 63) / 64),
        numbers(static_cast<std::size_t>(replicas)) {}
  void add(const Holder& holder) {
    bits[word(holder.replica)] |= bit(holder.replica);
    numbers[static_cast<std::size_t>(holder.replica)] = holder.number;
  }

  std::vector<std::uint64_t> bits;
  std::vector<Number> numbers;  // by replica
};

const ReplicaSet::Number* ReplicaSet::find_in_mask(std::int32_t replica) const {
  const Mask& mask = *holders_.mask;
  if ((mask.bits[word(replica)] & bit(replica)) == 0) return nullptr;
  return &mask.numbers[static_cast<std::size_t>(replica)];
}

std::uint64_t ReplicaSet::first_word() const { return holders_.mask->bits.front(); }

void ReplicaSet::add(std::int32_t replica, Number number, std::int32_t replicas) {
  const Holder holder{replica, number};
  if (form_ != Form::kMask && size_ == kListedMax) make_mask(replicas);
  if (form_ == Form::kMask) {
    holders_.mask->add(holder);
  } else if (size_ == 0) {
    holders_.one = holder;
  } else {
    // The array is full whenever the size is a power of two.
    if (std::has_single_bit(static_cast<std::uint32_t>(size_))) make_list(listed(), 2 * size_);
    holders_.list[size_] = holder;
  }
  ++size_;
}

void ReplicaSet::remove(std::int32_t replica) {
  if (form_ == Form::kMask) {
    holders_.mask->bits[word(replica)] &= ~bit(replica);
    if (--size_ == kListedMax / 2) shrink_mask();
    return;
  }
  Holder* first = form_ == Form::kOne ? &holders_.one : holders_.list;
  Holder* found = std::find_if(first, first + size_,
                               [&](const Holder& holder) { return holder.replica == replica; });
  KV_CHECK(found != first + size_, "replica {} is not in the set", replica);
  *found = first[--size_];
  if (size_ == 1) {
    const Holder last = first[0];
    release();
    holders_.one = last;
  } else if (std::has_single_bit(static_cast<std::uint32_t>(size_))) {
    make_list(listed(), size_);
  }
}

void ReplicaSet::copy_to(std::span<std::uint64_t> mask) const {
  if (form_ == Form::kMask) {
    std::copy(holders_.mask->bits.begin(), holders_.mask->bits.end(), mask.begin());
    return;
  }
  std::fill(mask.begin(), mask.end(), 0);
  for (const Holder& holder : listed()) mask[word(holder.replica)] |= bit(holder.replica);
}

void ReplicaSet::make_list(std::span<const Holder> holders, std::int32_t room) {
  Holder* list = new Holder[static_cast<std::size_t>(room)];
  std::copy(holders.begin(), holders.end(), list);
  release();
  form_ = Form::kList;
  holders_.list = list;
}

void ReplicaSet::make_mask(std::int32_t replicas) {
  Mask* mask = new Mask(replicas);
  for (const Holder& holder : listed()) mask->add(holder);
  release();
  form_ = Form::kMask;
  holders_.mask = mask;
}

void ReplicaSet::shrink_mask() {
  std::vector<Holder> left;
  const Mask& mask = *holders_.mask;
  for (std::int32_t replica = 0; replica < static_cast<std::int32_t>(mask.numbers.size());
       ++replica) {
    if (const Number* number = find_in_mask(replica); number != nullptr) {
      left.push_back({replica, *number});
    }
  }
  make_list(left, size_);
}

void ReplicaSet::release() {
  if (form_ == Form::kList) delete[] holders_.list;
  if (form_ == Form::kMask) delete holders_.mask;
  form_ = Form::kOne;
}

}  // namespace kvsim
