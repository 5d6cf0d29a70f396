// What tasks wait for: a turn on one of k servers (threads, slots), or a signal.
#pragma once

#include <coroutine>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"

namespace kvsim {

class Threads;

// A server's turn; given back when this goes.
class [[nodiscard]] Hold {
 public:
  Hold() = default;
  explicit Hold(Threads& threads) : threads_(&threads) {}
  Hold(Hold&& other) noexcept : threads_(std::exchange(other.threads_, nullptr)) {}
  Hold& operator=(Hold&& other) noexcept {
    std::swap(threads_, other.threads_);
    return *this;
  }
  ~Hold() { give_back(); }
  void give_back();

 private:
  Threads* threads_ = nullptr;
};

// k equal servers, first come first served: the threads of a process, a limit of things in flight.
// Who holds one keeps it while it waits for something else: that is what a blocking call does.
class Threads {
 public:
  Threads(Tasks& tasks, std::string name, std::string kind, std::int32_t count);

  // co_await acquire() gives a Hold. Lower urgency values go first, equal ones in order of asking.
  auto acquire(int urgency = 0) { return Turn(*this, urgency); }

  [[nodiscard]] std::int32_t count() const { return count_; }
  [[nodiscard]] std::int32_t free() const { return free_; }
  // Busy: held, summed over servers, up to now.
  [[nodiscard]] ResourceUse use() const;
  void count_bytes(Bytes bytes) { use_.bytes += bytes; }

 private:
  friend class Hold;
  class Turn {
   public:
    Turn(Threads& threads, int urgency) : threads_(threads), urgency_(urgency) {}
    Turn(const Turn&) = delete;
    ~Turn() {
      if (queued_) std::erase(threads_.queue_, this);
    }
    [[nodiscard]] bool await_ready() const {
      if (threads_.free_ == 0) return false;
      threads_.take();
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      queued_ = true;
      auto at = threads_.queue_.end();
      while (at != threads_.queue_.begin() && (*(at - 1))->urgency_ > urgency_) --at;
      threads_.queue_.insert(at, this);
    }
    [[nodiscard]] Hold await_resume() const { return Hold(threads_); }

   private:
    friend class Threads;
    Threads& threads_;
    int urgency_;
    std::coroutine_handle<> handle_;
    bool queued_ = false;
  };
  void take();
  void give_back();

  Tasks& tasks_;
  std::int32_t count_;
  std::int32_t free_;
  Seconds changed_{0};  // when free_ did last
  ResourceUse use_;
  std::deque<Turn*> queue_;
};

// Something that happens once, for any number of tasks that wait for it.
class Signal {
 public:
  explicit Signal(Tasks& tasks) : tasks_(tasks) {}
  Signal(const Signal&) = delete;

  // Wakes all who wait; later waits do not wait. Again: does nothing.
  void fire();
  [[nodiscard]] bool fired() const { return fired_; }
  // co_await wait() / wait(most): true when it has fired, false when `most` passed before.
  auto wait() { return Wait(*this, Seconds(-1)); }
  auto wait(Seconds most) { return Wait(*this, most); }

 private:
  class Wait {
   public:
    Wait(Signal& signal, Seconds most)
        : signal_(signal),
          most_(most),
          timer_(signal.tasks_.world(), Priority::kDeliver, call<&Wait::give_up>(), this) {}
    Wait(const Wait&) = delete;
    ~Wait() {
      if (queued_) std::erase(signal_.waits_, this);
    }
    [[nodiscard]] bool await_ready() const { return signal_.fired_ || most_ == Seconds(0); }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      queued_ = true;
      signal_.waits_.push_back(this);
      if (most_ > Seconds(0)) timer_.set(signal_.tasks_.now() + most_);
    }
    bool await_resume() const { return signal_.fired_; }  // not everybody asks which

   private:
    friend class Signal;
    void give_up(Seconds) {
      std::erase(signal_.waits_, this);
      queued_ = false;
      signal_.tasks_.wake(handle_);
    }
    Signal& signal_;
    Seconds most_;
    Timer timer_;
    std::coroutine_handle<> handle_;
    bool queued_ = false;
  };

  Tasks& tasks_;
  bool fired_ = false;
  std::vector<Wait*> waits_;
};

// Counts things in flight down to none: to wait for tasks that were started side by side.
class Countdown {
 public:
  Countdown(Tasks& tasks, std::int64_t count) : left_(count), done_(tasks) {
    if (count == 0) done_.fire();
  }
  void one_less() {
    if (--left_ == 0) done_.fire();
  }
  auto wait() { return done_.wait(); }

 private:
  std::int64_t left_;
  Signal done_;
};

}  // namespace kvsim
