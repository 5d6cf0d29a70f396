// The replicas that hold one content, each with a number of its own. One holder stands in the set
// itself, a few in an array, many in a bit mask with a number for every replica of the cluster: a
// set costs memory in proportion to its holders, and is cheap to intersect when a prefix is
// everywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

namespace kvsim {

class ReplicaSet {
 public:
  using Number = std::int32_t;

  [[nodiscard]] bool empty() const { return size_ == 0; }

  // The replica's number; nullptr when it is not in the set. O(1) to O(32).
  [[nodiscard]] const Number* find(std::int32_t replica) const;
  // Adds a replica that is not in the set. `replicas`: how many the cluster has.
  void add(std::int32_t replica, Number number, std::int32_t replicas);
  // Takes out a replica that is in the set.
  void remove(std::int32_t replica);
  // Makes `mask`, a bit per replica of the cluster, equal this set.
  void copy_to(std::span<std::uint64_t> mask) const;

 private:
  struct Holder {
    std::int32_t replica;
    Number number;
  };
  using Listed = std::unique_ptr<Holder[]>;  // room for the next power of two of holders
  struct Mask {
    std::vector<std::uint64_t> bits;
    std::vector<Number> numbers;  // by replica
  };
  // With more holders than this the set is a mask; with half as many it is a list again. For 1,024
  // replicas a mask takes 4 KiB.
  static constexpr std::int32_t kListedMax = 32;

  [[nodiscard]] std::span<Holder> listed();
  [[nodiscard]] std::span<const Holder> listed() const;
  void make_mask(std::int32_t replicas);
  void make_list();

  std::int32_t size_ = 0;
  std::variant<Holder, Listed, std::unique_ptr<Mask>> holders_;
};

}  // namespace kvsim
