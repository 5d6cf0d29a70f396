// Runs tasks and wakes them: the bridge between coroutines and the world's clock.
//
// Whoever is woken goes on in an event of its own at the same instant, in the order of waking: no
// call into a resource runs somebody else's code.
#pragma once

#include <coroutine>
#include <vector>

#include "sim/des/agenda.hpp"
#include "sim/des/task.hpp"
#include "sim/des/world.hpp"

namespace kvsim {

class Tasks {
 public:
  explicit Tasks(World& world);
  ~Tasks() { clear(); }
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Seconds now() const { return world_.now(); }

  // Runs the task on its own, now, until it first waits. Owns it.
  void start(Task task);
  // Goes on with a suspended coroutine at this instant (or later), after what runs now.
  void wake(std::coroutine_handle<> handle) { wake_at(world_.now(), handle); }
  void wake_at(Seconds at, std::coroutine_handle<> handle);
  // co_await sleep(t): goes on t later; at once for t <= 0.
  auto sleep(Seconds time) {
    struct Awaiter {
      Tasks& tasks;
      Seconds time;
      [[nodiscard]] bool await_ready() const { return time <= Seconds(0); }
      void await_suspend(std::coroutine_handle<> handle) {
        tasks.wake_at(tasks.now() + time, handle);
      }
      void await_resume() const {}
    };
    return Awaiter{*this, time};
  }
  // Drops every task that has not ended, before the resources that they wait for go. For the end
  // of a run.
  void clear();
  // Nothing is woken any more.
  [[nodiscard]] bool closing() const { return closing_; }
  [[nodiscard]] std::size_t running() const { return running_.size(); }

 private:
  friend class Task;
  void ended(Task::Handle handle) noexcept;

  World& world_;
  Agenda<std::coroutine_handle<>> agenda_;
  std::vector<Task::Handle> running_;  // tasks on their own
  std::exception_ptr failure_;         // of one that has just ended
  bool closing_ = false;
};

}  // namespace kvsim
