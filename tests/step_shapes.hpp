// Steps of one kind, for tests of step times.
#pragma once

#include <cstdint>
#include <string>

#include "sim/perf/step_context.hpp"

namespace kvsim {

// `sequences` that each read `context` tokens and compute one.
inline StepShape decodes(std::int32_t sequences, std::int64_t context) {
  StepShape shape;
  shape.decode_sequences = sequences;
  shape.decode_context = sequences * context;
  shape.sampled = sequences;
  return shape;
}

// One prompt, whole.
inline StepShape prompt(std::int64_t tokens) {
  StepShape shape;
  shape.prefill_sequences = 1;
  shape.prefill_tokens = tokens;
  shape.prefill_pairs = static_cast<double>(tokens) * static_cast<double>(tokens) / 2;
  shape.sampled = 1;
  return shape;
}

// Without what an engine adds to its kernels.
inline StepTime::Context kernels_only(const std::string& llm, const std::string& gpu,
                                      std::int64_t tensor_parallel = 1) {
  StepTime::Context context = step_context(llm, gpu, tensor_parallel, "0.15");
  context.overheads = EngineOverheads{};
  return context;
}

}  // namespace kvsim
