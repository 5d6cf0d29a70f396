// A resource whose capacity is shared by all that use it at a time: memory bandwidth, cores, a
// disk. Max-min fair, each use with a cap of its own (one thread's copy rate, one request's queue
// depth).
//
// Beside SimGrid's links because of what these need and those lack: caps per use, work that is not
// bytes (a written byte may cost a disk more than a read one), and 0.3 us instead of 4 a use. The
// oracle tests hold both to the same closed forms. O(uses at a time) for each begin and end.
#pragma once

#include <coroutine>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"

namespace kvsim {

class SharedServer {
 public:
  // Capacity: work per second, > 0.
  SharedServer(Tasks& tasks, std::string name, std::string kind, double capacity);

  // co_await use(work, most): comes back when `work` is done, at no more than `most` per second
  // (0 = no cap).
  auto use(double work, double most = 0) { return Use(*this, work, most); }

  // From now on, uses under way included. Must stay above 0.
  void set_capacity(double capacity);
  [[nodiscard]] double capacity() const { return capacity_; }
  // Busy: the share of its capacity that was used, over time, up to now.
  [[nodiscard]] ResourceUse use_so_far() const;
  void count_bytes(Bytes bytes) { use_.bytes += bytes; }

 private:
  class Use {
   public:
    Use(SharedServer& server, double work, double most)
        : server_(server), left_(work), most_(most) {}
    Use(const Use&) = delete;
    ~Use() {
      if (active_) std::erase(server_.uses_, this);
    }
    [[nodiscard]] bool await_ready() const { return left_ <= 0; }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      active_ = true;
      server_.begin(*this);
    }
    void await_resume() const {}

   private:
    friend class SharedServer;
    SharedServer& server_;
    double left_;
    double most_;
    double rate_ = 0;
    Seconds since_{0};  // left_ is as of then
    Seconds end_{0};
    std::coroutine_handle<> handle_;
    bool active_ = false;
  };

  void begin(Use& use);
  void wake(Seconds now);
  // Gives every use its fair rate from now on, and sets the timer.
  void share(Seconds now);
  void set_rate(Use& use, double rate, Seconds now);

  Tasks& tasks_;
  double capacity_;
  double rate_ = 0;  // of all uses together
  Seconds changed_{0};
  Timer timer_;
  ResourceUse use_;
  std::vector<Use*> uses_;    // in order of beginning
  std::vector<Use*> by_cap_;  // scratch
};

}  // namespace kvsim
