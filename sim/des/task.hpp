// Work that takes simulated time, written down as it happens: a coroutine.
//
//   Task get(Key key) {
//     const Hold worker = co_await workers_.acquire();   // waits its turn
//     co_await disk_.read(bytes);
//     co_await tasks_.sleep(parse);
//   }
//
// A Task starts when it is awaited, or when Tasks::start lets it run on its own; exceptions reach
// whoever awaits, at last World::run(). Parameters are copied into the task, references are not:
// what they refer to must outlive it.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace kvsim {

class Tasks;

class [[nodiscard]] Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  // At the end: goes on with who awaits, or tells Tasks that a task of its own is done.
  struct Finish {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle handle) noexcept;
    void await_resume() const noexcept {}
  };
  struct promise_type {
    std::coroutine_handle<> continuation;
    std::exception_ptr failure;
    Tasks* owner = nullptr;  // of a task on its own
    std::size_t slot = 0;    // in the owner's list

    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] Finish final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() { failure = std::current_exception(); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        handle.promise().continuation = caller;
        return handle;
      }
      void await_resume() const {
        if (handle.promise().failure) std::rethrow_exception(handle.promise().failure);
      }
    };
    return Awaiter{handle_};
  }

 private:
  friend class Tasks;
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

}  // namespace kvsim
