// Times short operations by the batch: with more threads than cores the scheduler runs a thread for
// some milliseconds, in which many are done, and then lets it wait for as long as many take. A
// batch that spans several turns has the mean of both, which is what throughput and the model mean.
#pragma once

#include <cstdint>

#include "sim/probe/measure.hpp"

namespace kvsim {

// `threads` that run all at once on `cores`.
constexpr Seconds batch_span(std::int64_t threads, std::int64_t cores) {
  constexpr Seconds kAlone{2e-3};
  constexpr Seconds kTurn{6e-3};  // a scheduler's slice of 3 ms, twice
  if (threads <= cores) return kAlone;
  return kTurn * (static_cast<double>(threads) / static_cast<double>(cores));
}

// Does `once` until `span` has passed, at least once: the mean.
template <class Once>
Seconds mean_of_batch(Seconds span, const Once& once) {
  const Stopwatch watch;
  Seconds passed{0};
  double count = 0;
  do {
    once();
    ++count;
    passed = watch.elapsed();
  } while (passed < span);
  return passed / count;
}

}  // namespace kvsim
