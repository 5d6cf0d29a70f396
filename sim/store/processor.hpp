// Cores and memory bandwidth of a machine, under threads that compute and threads that copy.
//
// A scheduler shares the cores evenly among all that can run, and a thread that copies holds its
// core for as long as it copies, also while memory cannot keep up: n threads on c cores have
// min(1, c / n) of a core each. A copy goes as fast as that share of one thread's copy rate, or as
// an even share of the memory bandwidth lets it, whichever is less. So all that compute have one
// rate, all that copy have one rate, and a heap for each by the work at which they end is exact:
// O(log uses) for each begin and end.
//
// Left out: a scheduler's time slices (of short operations with more threads than cores most are
// faster than the mean, and a few much slower), memory that computing uses.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"

namespace kvsim {

class Processor {
 public:
  struct Rates {
    double cores = 1;
    Bandwidth copy{1};    // traffic of one thread that copies: reads plus writes
    Bandwidth memory{1};  // traffic of all together
  };
  Processor(Tasks& tasks, const std::string& host, const Rates& rates);

  // One thread works for so long on a core of its own: awaitable.
  auto compute(Seconds work) { return Use(*this, computing_, work.count()); }
  // One thread copies: bytes read plus bytes written.
  auto copy(double traffic) { return Use(*this, copying_, traffic); }

  // Threads whose work is not known beforehand: an event loop with something to do.
  class Runner {
   public:
    // Each of its threads has this share of a core of its own, or of one thread's copy rate, from
    // now on.
    virtual void at_rate(double rate) = 0;

   protected:
    ~Runner() = default;
  };
  // From now on it runs so many threads (0: none), which copy or compute. It must stay until it
  // runs none.
  void run(Runner& runner, double threads, bool copies);
  // What it copied, for the summary: bytes read plus bytes written.
  void count_traffic(double traffic) { traffic_ += traffic; }

  // Cores and memory. Busy: the share of their capacity that was used, over time, up to now.
  [[nodiscard]] std::vector<ResourceUse> use_so_far() const;

 private:
  class Use;
  struct Running {
    Runner* runner;
    double threads;
    bool copies;
  };
  struct Ending {
    double end;  // when done_ of its kind is there
    std::uint64_t sequence;
    Use* use;
    [[nodiscard]] bool operator>(const Ending& other) const {
      return end != other.end ? end > other.end : sequence > other.sequence;
    }
  };
  // What all that compute, or all that copy, have in common.
  struct Kind {
    double rate = 0;  // of each, work per second
    double done = 0;  // work of one that has always been here
    Seconds first{0};
    std::vector<Ending> heap;
    [[nodiscard]] double count() const { return static_cast<double>(heap.size()); }
  };
  class Use {
   public:
    Use(Processor& processor, Kind& kind, double work)
        : processor_(processor), kind_(kind), work_(work) {}
    Use(const Use&) = delete;
    ~Use() {
      if (active_) processor_.drop(kind_, *this);
    }
    [[nodiscard]] bool await_ready() const { return work_ <= 0; }
    void await_suspend(std::coroutine_handle<> handle) {
      handle_ = handle;
      active_ = true;
      processor_.begin(kind_, *this, work_);
    }
    void await_resume() const {}

   private:
    friend class Processor;
    Processor& processor_;
    Kind& kind_;
    double work_;
    std::coroutine_handle<> handle_;
    bool active_ = false;
  };

  // Threads that copy, and those that do anything.
  [[nodiscard]] double copying() const;
  [[nodiscard]] double running() const;
  void begin(Kind& kind, Use& use, double work);
  void drop(Kind& kind, const Use& use);
  void wake(Seconds now);
  void end_due(Kind& kind, Seconds now);
  // Brings what has been done and used up to now.
  void catch_up(Seconds now);
  void count_busy(double passed, ResourceUse& cores, ResourceUse& memory) const;
  // Rates and the timer, from now on.
  void share(Seconds now);

  Tasks& tasks_;
  Rates rates_;
  Kind computing_;  // in core-seconds
  Kind copying_;    // in bytes of traffic
  std::vector<Running> runners_;
  std::uint64_t sequence_ = 0;
  Seconds changed_{0};
  Timer timer_;
  ResourceUse cores_;
  ResourceUse memory_;
  double traffic_ = 0;
};

}  // namespace kvsim
