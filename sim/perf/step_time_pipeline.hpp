// Pipeline parallelism: the layers in `stages` groups on as many GPUs (or tensor-parallel groups),
// passed one after the other. A decorator of any StepTime.
//
//   auto stage = make_step_time("fitted", context with llm = pipeline_stage(llm, p));
//   auto whole = with_pipeline(std::move(stage), {.stages = p, ...});
#pragma once

#include <cstdint>
#include <memory>

#include "sim/perf/llm_profile.hpp"
#include "sim/perf/step_time.hpp"

namespace kvsim {

struct PipelineOptions {
  std::int64_t stages = 1;
  Bytes token_bytes{0};    // handed from stage to stage per token: hidden width in its dtype
  Bandwidth bandwidth{0};  // between stages, one direction; 0 = hand-overs are free
  Seconds latency{0};      // of a hand-over
};

// What the largest of `stages` groups holds: layers / stages rounded up, and the embedding or the
// LM head, not both. Throws ConfigError when there are fewer layers than stages.
LlmProfile pipeline_stage(const LlmProfile& llm, std::int64_t stages);

// `stage` times a pipeline_stage(). With one stage it is returned as it is.
std::unique_ptr<StepTime> with_pipeline(std::unique_ptr<StepTime> stage,
                                        const PipelineOptions& options);

}  // namespace kvsim
