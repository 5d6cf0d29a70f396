// A map from block hashes to small values, for state that is touched for every block of every
// request: open addressing in one array, so that an operation is one or two cache misses and a
// caller that knows its hashes can prefetch them. The order of for_each() depends on the history of
// the table: for what does not depend on the order. Pointers to values hold until the next
// insertion or removal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/workload/block_hash.hpp"

namespace kvsim {

template <class Value>
class HashMap {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }

  // Starts loading what find(hash) will read.
  void prefetch(BlockHash hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[home(hash)], 1);
  }

  // nullptr = absent.
  [[nodiscard]] const Value* find(BlockHash hash) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[probe(hash)];
    return slot.hash == hash ? &slot.value : nullptr;
  }
  [[nodiscard]] Value* find(BlockHash hash) {
    return const_cast<Value*>(std::as_const(*this).find(hash));
  }

  // The value of `hash` (not 0), made with Value{} when absent.
  Value& operator[](BlockHash hash) {
    if (8 * (size_ + 1) > 5 * slots_.size()) grow();
    Slot& slot = slots_[probe(hash)];
    if (slot.hash != hash) {
      slot.hash = hash;
      ++size_;
    }
    return slot.value;
  }

  // visit(hash, value) for each entry, in no order; it must not insert or remove.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_)
      if (slot.hash != 0) visit(slot.hash, slot.value);
  }

  // False when absent.
  bool erase(BlockHash hash) {
    if (slots_.empty()) return false;
    std::size_t hole = probe(hash);
    if (slots_[hole].hash != hash) return false;
    --size_;
    // Moves later entries of the run back over the hole, unless they stand at their home already.
    for (std::size_t i = (hole + 1) & mask_; slots_[i].hash != 0; i = (i + 1) & mask_) {
      if (((i - home(slots_[i].hash)) & mask_) < ((i - hole) & mask_)) continue;
      slots_[hole] = std::move(slots_[i]);
      hole = i;
    }
    slots_[hole] = Slot{};
    return true;
  }

 private:
  struct Slot {
    BlockHash hash = 0;  // 0 = empty
    Value value{};
  };
  static constexpr std::size_t kSlotsMin = 16;

  // Multiplying spreads hashes that differ in few bits only; the high bits are the best mixed.
  [[nodiscard]] std::size_t home(BlockHash hash) const {
    return static_cast<std::size_t>((hash * 0x9e3779b97f4a7c15ULL) >> shift_);
  }
  // Where `hash` is, or else the empty slot where it would go.
  [[nodiscard]] std::size_t probe(BlockHash hash) const {
    std::size_t i = home(hash);
    while (slots_[i].hash != hash && slots_[i].hash != 0) i = (i + 1) & mask_;
    return i;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? kSlotsMin : 2 * slots_.size());
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    shift_ = 64 - __builtin_ctzll(slots_.size());
    for (Slot& slot : old) {
      if (slot.hash != 0) slots_[probe(slot.hash)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two of them, at most five eighths full
  std::size_t size_ = 0;
  std::size_t mask_ = 0;
  int shift_ = 64;
};

}  // namespace kvsim
