// A cache in bytes that forgets what was used the longest ago. O(1) for each call.
//
// Entries have an owner, for who must drop all that came from one file, and may be larger than the
// capacity: then nothing stays.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

class ByteCache {
 public:
  struct Entry {
    std::uint64_t key = 0;
    std::uint64_t owner = 0;
    Bytes bytes{0};
  };

  explicit ByteCache(Bytes capacity = Bytes(0)) : capacity_(capacity) {}

  void set_capacity(Bytes capacity) { capacity_ = capacity; }  // before the first insert
  [[nodiscard]] Bytes capacity() const { return capacity_; }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return index_.size(); }

  [[nodiscard]] bool contains(std::uint64_t key) const { return index_.contains(key); }
  [[nodiscard]] std::optional<Entry> find(std::uint64_t key) const;
  // True, and it is the newest now, when it is there.
  bool touch(std::uint64_t key);
  // As the newest; in place of one of that key. Returns what had to go, oldest first: valid until
  // the next call.
  const std::vector<Entry>& insert(const Entry& entry);
  // nullopt when it is not there.
  std::optional<Entry> erase(std::uint64_t key);
  // Takes bytes off an entry that stays where it is; it goes when none are left.
  void shrink(std::uint64_t key, Bytes by);
  [[nodiscard]] std::optional<Entry> oldest() const;
  void clear();

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Node {
    Entry entry;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
  };
  void link_newest(std::uint32_t slot);
  void unlink(std::uint32_t slot);
  Entry take(std::uint32_t slot);

  Bytes capacity_;
  Bytes bytes_{0};
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
  std::vector<Entry> gone_;
};

}  // namespace kvsim
