// Repeats an operation with several callers at once until its mean is stable.
#pragma once

#include <chrono>
#include <functional>

#include "sim/probe/sample.hpp"

namespace kvsim {

// When to stop. Times are of the wall.
struct Patience {
  Seconds warm_up{0.05};  // and at least one operation of each caller: not measured
  Seconds least{0.2};
  Seconds most{2};               // then it is noisy; operations under way are waited for
  std::int64_t operations = 16;  // at least, of all callers together
  double noise = 0.05;           // stable: half of the mean's 95 % interval is below this share
};

class Stopwatch {
 public:
  Stopwatch() : began_(std::chrono::steady_clock::now()) {}
  [[nodiscard]] Seconds elapsed() const {
    return Seconds(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count());
  }

 private:
  std::chrono::steady_clock::time_point began_;
};

// One operation by caller number `caller`, and how long it took by the caller's own watch: what it
// prepares before (a cold cache, say) does not count.
using Caller = std::function<Seconds(std::int64_t caller)>;

// operation.at_once threads call `once` one time after another, all at the same time. What one
// throws is rethrown when all have stopped.
Sample measure(const BenchOperation& operation, const Patience& patience, const Caller& once);

}  // namespace kvsim
