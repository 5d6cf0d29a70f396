// Keys in an order, each at most once: a queue from which any key can be taken out or moved to the
// back. Every operation is O(1).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/check.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

class KeyList {
 public:
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(where_.size()); }
  [[nodiscard]] bool empty() const { return where_.size() == 0; }
  [[nodiscard]] bool contains(BlockHash key) const { return where_.find(key) != nullptr; }
  [[nodiscard]] BlockHash front() const {
    KV_CHECK(!empty());
    return nodes_[nodes_[0].next].key;
  }

  // The key behind `key`, which is here; 0 = it is the last.
  [[nodiscard]] BlockHash after(BlockHash key) const {
    return nodes_[static_cast<std::size_t>(
                      nodes_[static_cast<std::size_t>(*where_.find(key))].next)]
        .key;
  }

  // Appends `key`, or moves it to the back when it is here.
  void push_back(BlockHash key) {
    std::int32_t& at = where_[key];
    if (at == 0) {
      at = fresh();
      nodes_[at].key = key;
    } else {
      unlink(at);
    }
    link(nodes_[0].previous, at);
    link(at, 0);
  }
  // Moves `key` to the back; false when it is not here.
  bool move_to_back(BlockHash key) {
    if (!contains(key)) return false;
    push_back(key);
    return true;
  }
  // False when `key` is not here.
  bool erase(BlockHash key) {
    const std::int32_t* at = where_.find(key);
    if (at == nullptr) return false;
    unlink(*at);
    unused_.push_back(*at);
    where_.erase(key);
    return true;
  }
  BlockHash pop_front() {
    const BlockHash key = front();
    erase(key);
    return key;
  }

 private:
  struct Node {
    BlockHash key = 0;
    std::int32_t previous = 0;
    std::int32_t next = 0;
  };

  std::int32_t fresh() {
    if (unused_.empty()) {
      nodes_.emplace_back();
      return static_cast<std::int32_t>(nodes_.size()) - 1;
    }
    const std::int32_t node = unused_.back();
    unused_.pop_back();
    return node;
  }
  void link(std::int32_t first, std::int32_t second) {
    nodes_[first].next = second;
    nodes_[second].previous = first;
  }
  void unlink(std::int32_t node) { link(nodes_[node].previous, nodes_[node].next); }

  std::vector<Node> nodes_ = std::vector<Node>(1);  // a ring through node 0, which holds no key
  std::vector<std::int32_t> unused_;
  HashMap<std::int32_t> where_;  // node of each key
};

}  // namespace kvsim
