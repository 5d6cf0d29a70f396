#include "sim/des/waiting.hpp"

#include "sim/base/check.hpp"

namespace kvsim {

void Hold::give_back() {
  if (threads_ != nullptr) std::exchange(threads_, nullptr)->give_back();
}

Threads::Threads(Tasks& tasks, std::string name, std::string kind, std::int32_t count)
    : tasks_(tasks), count_(count), free_(count) {
  KV_CHECK(count > 0, "{} with {} servers", name, count);
  use_.name = std::move(name);
  use_.kind = std::move(kind);
  use_.servers = count;
}

void Threads::take() {
  const Seconds now = tasks_.now();
  use_.busy += (now - changed_) * static_cast<double>(count_ - free_);
  changed_ = now;
  --free_;
}

void Threads::give_back() {
  if (tasks_.closing()) return;
  if (!queue_.empty()) {
    // Handed on: the number of free servers does not change.
    Turn* next = queue_.front();
    queue_.pop_front();
    next->queued_ = false;
    tasks_.wake(next->handle_);
    return;
  }
  const Seconds now = tasks_.now();
  use_.busy += (now - changed_) * static_cast<double>(count_ - free_);
  changed_ = now;
  ++free_;
}

ResourceUse Threads::use() const {
  ResourceUse out = use_;
  out.busy += (tasks_.now() - changed_) * static_cast<double>(count_ - free_);
  return out;
}

void Signal::fire() {
  if (fired_) return;
  fired_ = true;
  for (Wait* wait : waits_) {
    wait->queued_ = false;
    wait->timer_.cancel();
    tasks_.wake(wait->handle_);
  }
  waits_.clear();
}

}  // namespace kvsim
