// Things that are due at known times, each once: deliveries, releases, retries. One timer for all
// of them, so that many cost a heap push each and no event of their own kind.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "sim/des/world.hpp"

namespace kvsim {

template <class Item>
class Agenda {
 public:
  using Due = std::function<void(Item& item, Seconds now)>;

  Agenda(World& world, Priority priority, Due due)
      : due_(std::move(due)), timer_(world, priority, call<&Agenda::wake>(), this) {}

  // Items of one instant come in the order of adding.
  void add(Seconds at, Item item) {
    heap_.push_back({at, sequence_++, std::move(item)});
    std::push_heap(heap_.begin(), heap_.end(), later);
    if (!waking_ && (!timer_.pending() || at < timer_.due())) timer_.set(at);
  }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Seconds at;
    std::uint64_t sequence;
    Item item;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
  }
  void wake(Seconds now) {
    waking_ = true;
    while (!heap_.empty() && heap_.front().at <= now) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      Entry entry = std::move(heap_.back());
      heap_.pop_back();
      due_(entry.item, now);
    }
    waking_ = false;
    if (!heap_.empty()) timer_.set(heap_.front().at);
  }

  Due due_;
  std::vector<Entry> heap_;
  std::uint64_t sequence_ = 0;
  bool waking_ = false;
  Timer timer_;
};

}  // namespace kvsim
