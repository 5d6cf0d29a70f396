#include "sim/des/tasks.hpp"

namespace kvsim {

std::coroutine_handle<> Task::Finish::await_suspend(Handle handle) noexcept {
  promise_type& promise = handle.promise();
  if (promise.owner == nullptr) return promise.continuation;
  promise.owner->ended(handle);
  return std::noop_coroutine();
}

Tasks::Tasks(World& world)
    : world_(world),
      agenda_(world, Priority::kDeliver, [this](std::coroutine_handle<>& handle, Seconds) {
        handle.resume();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
      }) {}

void Tasks::start(Task task) {
  const Task::Handle handle = std::exchange(task.handle_, nullptr);
  handle.promise().owner = this;
  handle.promise().slot = running_.size();
  running_.push_back(handle);
  handle.resume();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Tasks::wake_at(Seconds at, std::coroutine_handle<> handle) {
  if (!closing_) agenda_.add(at, handle);
}

void Tasks::ended(Task::Handle handle) noexcept {
  failure_ = handle.promise().failure;
  const std::size_t slot = handle.promise().slot;
  running_[slot] = running_.back();
  running_[slot].promise().slot = slot;
  running_.pop_back();
  handle.destroy();
}

void Tasks::clear() {
  closing_ = true;
  while (!running_.empty()) {
    const Task::Handle handle = running_.back();
    running_.pop_back();
    handle.destroy();
  }
}

}  // namespace kvsim
