// Simulated time and shared links: the only folder that includes SimGrid.
//
// SimGrid owns the clock and shares links among transfers. Everything that only waits (engine
// steps, arrivals, delays) is a Timer: World keeps them in one heap and arms a single SimGrid timer
// for the earliest, which costs about 0.2 us an event against 0.7 us for a sleeping actor, needs no
// stacks, and leaves no actor whose exceptions could be lost. Callbacks run one after the other, in
// the order (time, priority, sequence of setting): deterministic, no locks.
//
// Priorities order what falls on the same instant: see Priority. One World per process (SimGrid's
// clock is global).
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

class World;

// What happens first among events of one instant.
enum class Priority : std::uint8_t {
  kObserve = 0,  // looks at the state before this instant: metric scrapes
  kDeliver = 1,  // transfers and messages arrive
  kClient = 2,   // clients and front ends act
  kEngine = 3,   // engine steps end and begin
};

// A wake-up that its owner moves or cancels. Calls back at most once per set().
class Timer {
 public:
  // Binds a member function: Timer(world, Priority::kEngine, call<&Engine::wake>(), this).
  using Callback = void (*)(void* owner, Seconds now);
  Timer(World& world, Priority priority, Callback callback, void* owner)
      : world_(world), callback_(callback), owner_(owner), priority_(priority) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Wakes at `at` (not before now), instead of any earlier setting. O(log timers).
  void set(Seconds at);
  void cancel();
  [[nodiscard]] bool pending() const { return slot_ >= 0; }
  [[nodiscard]] Seconds due() const { return due_; }

 private:
  friend class World;
  World& world_;
  Callback callback_;
  void* owner_;
  Seconds due_{0};
  std::uint64_t sequence_ = 0;
  std::int32_t slot_ = -1;  // index in the heap
  Priority priority_;
};

template <auto Member>
struct MemberCall;
template <class Owner, void (Owner::*Member)(Seconds)>
struct MemberCall<Member> {
  static void invoke(void* owner, Seconds now) { (static_cast<Owner*>(owner)->*Member)(now); }
};
template <auto Member>
constexpr Timer::Callback call() {
  return &MemberCall<Member>::invoke;
}

class World {
 public:
  struct LinkId {
    std::int32_t index = -1;
  };
  struct PathId {
    std::int32_t index = -1;
  };
  using Done = std::function<void(Seconds now)>;

  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Platform, before run(). A link carries one direction; transfers on it share its bandwidth
  // max-min fairly. A path is the links that a transfer crosses, in order.
  LinkId add_link(const std::string& name, Bandwidth bandwidth);
  PathId add_path(const std::vector<LinkId>& links);

  [[nodiscard]] Seconds now() const { return now_; }

  // Starts moving bytes over the path now; `done` is called when the last one has arrived.
  // bytes > 0. (SimGrid 3.32 ignores rates of such transfers: to cap one, give it a link of its
  // own.)
  void transfer(PathId path, Bytes bytes, Done done);
  // Changes a link's capacity from now on, transfers under way included.
  void set_bandwidth(LinkId link, Bandwidth bandwidth);

  // Runs until nothing is pending or stop(). Rethrows what a callback threw. Once per process.
  void run();
  // Instead, in a world without links, as often as wanted and in any number of worlds: runs timers
  // until none is pending. SimGrid has no part in it.
  void settle();
  // Ends run() after the current event: no callback follows.
  void stop() { stopped_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // Looks at the state between events, at every whole multiple of `period` that the clock passes
  // while there are events: before what happens at that instant. Not an event: it neither keeps the
  // run going nor changes what happens, and must not set timers. Once.
  using Look = std::function<void(Seconds now)>;
  void observe(Seconds period, Look look);
  // Asked every few thousand events; true ends the run (a signal, say).
  void set_interrupt(std::function<bool()> interrupt) { interrupt_ = std::move(interrupt); }
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  friend class Timer;
  struct Platform;  // SimGrid's side; made when first needed, as there can be one in a process
  Platform& platform();

  void push(Timer& timer);
  void remove(Timer& timer);
  void place(std::size_t slot, Timer* timer);
  void sift_up(std::size_t slot);
  void sift_down(std::size_t slot);
  static bool before(const Timer& a, const Timer& b);
  void arm();
  void run_due();
  void run_first();
  // The clock goes on, past looks that are due.
  void advance(Seconds to) {
    if (to >= next_look_) look_until(to);
    now_ = std::max(now_, to);
  }
  void look_until(Seconds to);
  void guarded(const std::function<void()>& body);
  // Does it at now() by SimGrid's clock, which may have been left behind.
  void in_step(std::function<void()> action);

  std::vector<Timer*> heap_;
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
  Seconds now_{0};
  Seconds first_end_{std::numeric_limits<double>::infinity()};  // no transfer ends before
  bool stopped_ = false;
  bool inside_ = false;  // run_due() is arming after its batch
  std::exception_ptr failure_;
  std::function<bool()> interrupt_;
  Look look_;
  Seconds look_period_{0};
  std::int64_t looks_ = 0;
  Seconds next_look_{std::numeric_limits<double>::infinity()};
  std::unique_ptr<Platform> platform_;
};

}  // namespace kvsim
