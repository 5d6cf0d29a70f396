// Times short operations by the batch: with more threads than cores the scheduler runs a thread for
// some milliseconds, in which many are done, and then lets it wait for as long as many take. A
// batch that spans several turns has the mean of both, which is what throughput and the model mean.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

#include "sim/probe/measure.hpp"

namespace kvsim {

// `threads` that run all at once on `cores`.
constexpr Seconds batch_span(std::int64_t threads, std::int64_t cores) {
  constexpr Seconds kAlone{2e-3};
  constexpr Seconds kTurn{6e-3};  // a scheduler's slice of 3 ms, twice
  if (threads <= cores) return kAlone;
  return kTurn * (static_cast<double>(threads) / static_cast<double>(cores));
}

// Core time of this process for each operation of a measurement: what one takes while it has a
// core, whatever else the machine is doing. Of all threads: both ends of a connection.
class CoreTime {
 public:
  CoreTime() : began_(used()) {}
  void did(std::int64_t operations) { operations_ += operations; }
  // "cpu_s". After the last one; batches under way when measuring ended have counted too.
  void add_to(Sample& sample) const {
    sample.extra.emplace_back("cpu_s",
                              (used() - began_).count() / static_cast<double>(operations_));
  }

 private:
  static Seconds used() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    constexpr double kNano = 1e-9;
    return Seconds(static_cast<double>(time.tv_sec) + kNano * static_cast<double>(time.tv_nsec));
  }
  Seconds began_;
  std::atomic<std::int64_t> operations_{0};
};

// Does `once` until `span` has passed, at least once: the mean.
template <class Once>
Seconds mean_of_batch(Seconds span, CoreTime& cores, const Once& once) {
  const Stopwatch watch;
  Seconds passed{0};
  std::int64_t count = 0;
  do {
    once();
    ++count;
    passed = watch.elapsed();
  } while (passed < span);
  cores.did(count);
  return passed / static_cast<double>(count);
}

}  // namespace kvsim
