// The waiting requests: first come first served with preempted ones back at the front, or by
// (priority, arrival). Links live in the sequences: no allocation.
#pragma once

#include <cstdint>

#include "sim/engine/sequence.hpp"

namespace kvsim {

class WaitingQueue {
 public:
  explicit WaitingQueue(bool by_priority) : by_priority_(by_priority) {}

  [[nodiscard]] Sequence* front() const { return front_; }
  [[nodiscard]] std::int64_t size() const { return size_; }

  // A new request. O(1), by priority O(size).
  void push_back(Sequence& sequence) {
    insert_before(by_priority_ ? place(sequence) : nullptr, sequence);
  }
  // A preempted request.
  void push_front(Sequence& sequence) {
    insert_before(by_priority_ ? place(sequence) : front_, sequence);
  }
  // A request whose KV has been loaded: those that were passed over are looked at first, in the
  // order of loading.
  void push_loaded(Sequence& sequence) {
    Sequence* at = front_;
    while (at != nullptr && at->looked_up && at->state == Sequence::State::kWaiting) at = at->next;
    insert_before(by_priority_ ? place(sequence) : at, sequence);
  }
  void remove(Sequence& sequence) {
    (sequence.previous != nullptr ? sequence.previous->next : front_) = sequence.next;
    (sequence.next != nullptr ? sequence.next->previous : back_) = sequence.previous;
    sequence.previous = sequence.next = nullptr;
    --size_;
  }

 private:
  // The first that must come after `sequence`.
  [[nodiscard]] Sequence* place(const Sequence& sequence) const {
    Sequence* at = front_;
    while (at != nullptr && !comes_before(sequence, *at)) at = at->next;
    return at;
  }
  static bool comes_before(const Sequence& a, const Sequence& b) {
    if (a.request.priority != b.request.priority) return a.request.priority < b.request.priority;
    if (a.received != b.received) return a.received < b.received;
    return a.number < b.number;  // or two of one instant would drive each other out for ever
  }
  void insert_before(Sequence* at, Sequence& sequence) {
    sequence.next = at;
    sequence.previous = at != nullptr ? at->previous : back_;
    (sequence.previous != nullptr ? sequence.previous->next : front_) = &sequence;
    (at != nullptr ? at->previous : back_) = &sequence;
    ++size_;
  }

  bool by_priority_;
  Sequence* front_ = nullptr;
  Sequence* back_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace kvsim
