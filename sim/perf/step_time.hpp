// How long one engine step takes on one GPU (or one tensor-parallel group).
//
// A StepTime is built from an LLM profile, a GPU profile and the parallel layout; the engine asks
// it once per step, so gpu() and cpu() must cost well under a microsecond (a decode step with only
// a longer context: tens of nanoseconds).
#pragma once

#include <cstdint>

#include "sim/base/units.hpp"

namespace kvsim {

// What a step computes. Sums over the step's sequences; all are exact integers held in int64 or
// double, so the order of summing does not matter.
struct StepShape {
  std::int32_t prefill_sequences = 0;
  std::int64_t prefill_tokens = 0;   // sum of new prompt tokens q
  std::int64_t prefill_context = 0;  // sum of tokens already in the KV cache before each chunk
  double prefill_pairs = 0;          // sum of q * (context + q / 2): causal query-key pairs
  double prefill_window_pairs = 0;   // the same for layers with a sliding window
  std::int32_t decode_sequences = 0;
  std::int64_t decode_context = 0;         // sum of KV tokens read by decodes
  std::int64_t decode_window_context = 0;  // the same, each capped at the sliding window
  // KV tokens that sequences of the engine hold in common, each counted once less than it is held.
  std::int64_t repeated_context = 0;
  std::int32_t sampled = 0;  // sequences that produce a token: rows of the LM head
};

class StepTime {
 public:
  static constexpr const char* kPlugin = "step time";
  struct Context;  // sim/perf/step_context.hpp
  virtual ~StepTime() = default;
  // GPU time of the kernels of this step.
  [[nodiscard]] virtual Seconds gpu(const StepShape& shape) const = 0;
  // Host time of scheduling, input preparation and output processing for this step. Without
  // asynchronous scheduling it adds to gpu(); with it the step takes the larger of the two.
  [[nodiscard]] virtual Seconds cpu(const StepShape& shape) const = 0;
  // Tokens that layers with a sliding window still read; 0 when the model has none.
  [[nodiscard]] virtual std::int64_t window() const = 0;
};

}  // namespace kvsim
