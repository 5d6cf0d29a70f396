// What a chunk of a prompt adds to the shape of its step.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/perf/step_time.hpp"

namespace kvsim {

// Adds tokens `before` to `after` of a sequence, or takes them out with sign -1. `window`: tokens
// that layers with a sliding window read; 0 = none.
inline void count_chunk(StepShape& shape, std::int64_t before, std::int64_t after,
                        std::int64_t window, int sign = 1) {
  const auto pairs = [](double from, double to) { return (to - from) * (to + from) / 2; };
  const auto low = static_cast<double>(before);
  const auto high = static_cast<double>(after);
  shape.prefill_sequences += sign;
  shape.prefill_tokens += sign * (after - before);
  shape.prefill_context += sign * before;
  shape.prefill_pairs += sign * pairs(low, high);
  if (window == 0) return;
  const auto edge = std::clamp(static_cast<double>(window), low, high);
  shape.prefill_window_pairs +=
      sign * (pairs(low, edge) + (high - edge) * static_cast<double>(window));
}

}  // namespace kvsim
