// Time of a step when the layers stand on p GPUs in a row. The step's sequences are split into m =
// min(p, sequences) micro-batches, as an engine with p batches in flight splits them (spec/vllm.md
// section 1), and each gives its sequences one token when it has passed all stages:
//
//   latency of a micro-batch = p * stage + (p - 1) * hand-over + LM head
//   step = the larger of that latency and m * (stage + LM head), the last stage's work
//
// where stage is the time of the layers of one stage for a micro-batch. So many decodes get p times
// the work done in parallel, and a lone sequence gains nothing. The host schedules each micro-batch
// on its own while others compute, so several of them bound the step by m times the host's time.
//
// Left out: chunks of one prompt that follow each other through the stages (each waits for the one
// before it); micro-batches of unequal work, prompts beside decodes (shares are equal, as far as
// whole sequences go, and the largest counts); drain and refill when sequences come and go; layers
// that do not divide evenly (every stage counts as the largest); contention of hand-overs with
// other traffic.
#include "sim/perf/step_time_pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

class PipelinedStepTime final : public StepTime {
 public:
  PipelinedStepTime(std::unique_ptr<StepTime> stage, const PipelineOptions& options)
      : stage_(std::move(stage)), options_(options) {}

  [[nodiscard]] Seconds gpu(const StepShape& shape) const override {
    StepShape share = share_of(shape);
    const Seconds last = stage_->gpu(share);
    share.sampled = 0;  // the LM head is on the last stage
    const Seconds middle = stage_->gpu(share);
    const auto before = static_cast<double>(options_.stages - 1);
    const Seconds latency = (middle + hand_over(share)) * before + last;
    const std::int64_t batches = micro_batches(shape);
    if (batches < 2) return latency;
    const Seconds each = std::max(last, stage_->cpu(share));
    return std::max(latency, each * static_cast<double>(batches));
  }
  // Of one micro-batch: the others' is spent while it computes.
  [[nodiscard]] Seconds cpu(const StepShape& shape) const override {
    return stage_->cpu(share_of(shape));
  }
  [[nodiscard]] std::int64_t window() const override { return stage_->window(); }

 private:
  [[nodiscard]] std::int64_t micro_batches(const StepShape& shape) const {
    const std::int64_t sequences = shape.prefill_sequences + shape.decode_sequences;
    return std::clamp<std::int64_t>(sequences, 1, options_.stages);
  }
  // The largest micro-batch.
  [[nodiscard]] StepShape share_of(const StepShape& shape) const {
    const auto parts = [&](std::int32_t sequences) {
      return std::clamp<std::int64_t>(sequences, 1, options_.stages);
    };
    const std::int64_t prefills = parts(shape.prefill_sequences);
    const std::int64_t decodes = parts(shape.decode_sequences);
    const auto whole = [](std::int32_t n, std::int64_t by) {
      return static_cast<std::int32_t>(groups_of(n, by));
    };
    StepShape share;
    share.prefill_sequences = whole(shape.prefill_sequences, prefills);
    share.prefill_tokens = groups_of(shape.prefill_tokens, prefills);
    share.prefill_context = groups_of(shape.prefill_context, prefills);
    share.prefill_pairs = shape.prefill_pairs / static_cast<double>(prefills);
    share.prefill_window_pairs = shape.prefill_window_pairs / static_cast<double>(prefills);
    share.decode_sequences = whole(shape.decode_sequences, decodes);
    share.decode_context = groups_of(shape.decode_context, decodes);
    share.decode_window_context = groups_of(shape.decode_window_context, decodes);
    share.repeated_context = shape.repeated_context / decodes;
    share.sampled = std::min(whole(shape.sampled, parts(shape.sampled)),
                             share.prefill_sequences + share.decode_sequences);
    return share;
  }
  [[nodiscard]] Seconds hand_over(const StepShape& share) const {
    if (options_.bandwidth.count() <= 0) return options_.latency;
    const std::int64_t tokens = share.prefill_tokens + share.decode_sequences;
    return options_.latency + options_.token_bytes * tokens / options_.bandwidth;
  }

  std::unique_ptr<StepTime> stage_;
  PipelineOptions options_;
};

}  // namespace

LlmProfile pipeline_stage(const LlmProfile& llm, std::int64_t stages) {
  if (stages < 1 || stages > llm.layers)
    throw ConfigError(
        fmt::format("pipeline parallelism of {}: found {}; allowed: 1 to its {} layers", llm.name,
                    stages, llm.layers));
  if (stages == 1) return llm;
  LlmProfile stage = llm;
  stage.layers = groups_of(llm.layers, stages);
  stage.tied_embeddings = true;  // one of the two matrices at most is on a stage
  // Layers without experts stand on the first stage only: the others have none.
  if (stage.mixture) stage.mixture->dense_layers = 0;
  return stage;
}

std::unique_ptr<StepTime> with_pipeline(std::unique_ptr<StepTime> stage,
                                        const PipelineOptions& options) {
  KV_CHECK(options.stages >= 1, "{} stages", options.stages);
  if (options.stages == 1) return stage;
  return std::make_unique<PipelinedStepTime>(std::move(stage), options);
}

}  // namespace kvsim
