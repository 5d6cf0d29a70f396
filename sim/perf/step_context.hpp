// What a StepTime plug-in is built from, and the way to build one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/perf/engine_profile.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/llm_profile.hpp"
#include "sim/perf/step_time.hpp"

namespace kvsim {

struct StepTime::Context {
  LlmProfile llm;
  GpuProfile gpu;
  std::int64_t tensor_parallel = 1;
  std::string weight_dtype;  // empty = as the LLM is published
  std::string kv_dtype;      // likewise
  EngineOverheads overheads;
  std::vector<std::int64_t> graph_sizes;  // captured batch sizes, rising; empty = no padding
};

// The plug-in called `name` ("fitted", "roofline", "constant") with its default options.
std::unique_ptr<StepTime> make_step_time(const std::string& name, const StepTime::Context& context);

// A context by profile names, with the version's overheads and default graph sizes.
StepTime::Context step_context(const std::string& llm, const std::string& gpu,
                               std::int64_t tensor_parallel, const std::string& version);

// Host time of a step: the same for every way of timing the GPU.
Seconds step_cpu(const StepTime::Context& context, const StepShape& shape);

}  // namespace kvsim
