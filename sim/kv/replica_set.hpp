// The replicas that hold one content, each with a number of its own. One holder stands in the set
// itself, a few in an array, many in a bit mask with a number for every replica of the cluster: a
// set costs memory in proportion to its holders, and is cheap to intersect when a prefix is
// everywhere. 16 bytes, because a router keeps one per block hash: hence the union.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace kvsim {

class ReplicaSet {
 public:
  using Number = std::int32_t;

  ReplicaSet() = default;
  ReplicaSet(ReplicaSet&& other) noexcept { *this = std::move(other); }
  ReplicaSet& operator=(ReplicaSet&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(form_, other.form_);
    std::swap(holders_, other.holders_);
    return *this;
  }
  ~ReplicaSet() {
    if (form_ != Form::kOne) release();
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }

  // The replica's number; nullptr when it is not in the set. O(1) to O(32).
  [[nodiscard]] const Number* find(std::int32_t replica) const {
    if (form_ == Form::kMask) return find_in_mask(replica);
    for (const Holder& holder : listed()) {
      if (holder.replica == replica) return &holder.number;
    }
    return nullptr;
  }
  [[nodiscard]] Number* find(std::int32_t replica) {
    return const_cast<Number*>(std::as_const(*this).find(replica));
  }
  // Adds a replica that is not in the set. `replicas`: how many the cluster has.
  void add(std::int32_t replica, Number number, std::int32_t replicas);
  // Takes out a replica that is in the set.
  void remove(std::int32_t replica);

  // Makes `mask`, a bit per replica of the cluster, equal this set.
  void copy_to(std::span<std::uint64_t> mask) const;
  // The same for a cluster of at most 64 replicas.
  [[nodiscard]] std::uint64_t mask() const {
    if (form_ == Form::kMask) return first_word();
    std::uint64_t mask = 0;
    for (const Holder& holder : listed()) mask |= 1ULL << holder.replica;
    return mask;
  }

 private:
  struct Holder {
    std::int32_t replica;
    Number number;
  };
  struct Mask;
  enum class Form : std::uint8_t { kOne, kList, kMask };
  union Holders {
    Holder one;
    Holder* list;  // room for the next power of two of holders
    Mask* mask;
  };
  // With more holders than this the set is a mask; with half as many it is a list again. For 1,024
  // replicas a mask takes 4 KiB.
  static constexpr std::int32_t kListedMax = 32;

  [[nodiscard]] std::span<const Holder> listed() const {
    const Holder* first = form_ == Form::kOne ? &holders_.one : holders_.list;
    return {first, static_cast<std::size_t>(size_)};
  }
  [[nodiscard]] const Number* find_in_mask(std::int32_t replica) const;
  [[nodiscard]] std::uint64_t first_word() const;
  // Stores the holders, size_ of them, in an array with room for `room`.
  void make_list(std::span<const Holder> holders, std::int32_t room);
  void make_mask(std::int32_t replicas);
  void shrink_mask();
  void release();

  std::int32_t size_ = 0;
  Form form_ = Form::kOne;
  Holders holders_{};
};

}  // namespace kvsim
