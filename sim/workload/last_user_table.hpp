// For each block ever seen, the number of the request that used it last. Open addressing in one
// array, 16 bytes a slot and at most 3/4 full: a workload has millions of blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/workload/block_hash.hpp"

namespace kvsim {

class LastUserTable {
 public:
  static constexpr std::uint32_t kNobody = UINT32_MAX;

  [[nodiscard]] std::size_t size() const { return size_; }

  // Makes `user` the last one of `block`; returns who was before.
  std::uint32_t exchange(BlockHash block, std::uint32_t user) {
    if (4 * (size_ + 1) > 3 * slots_.size()) grow();
    Slot& slot = probe(block);
    const std::uint32_t before = slot.user;
    size_ += slot.block == 0 ? 1 : 0;
    slot = {block, user};
    return before;
  }

 private:
  struct Slot {
    BlockHash block = 0;  // 0 = free
    std::uint32_t user = kNobody;
  };

  Slot& probe(BlockHash block) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = block & mask;
    while (slots_[i].block != 0 && slots_[i].block != block) i = (i + 1) & mask;
    return slots_[i];
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 1024 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.block != 0) probe(slot.block) = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace kvsim
