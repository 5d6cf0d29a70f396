#include "sim/perf/step_time_pipeline.hpp"

#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/memory_budget.hpp"
#include "sim/perf/step_context.hpp"
#include "tests/step_shapes.hpp"

namespace kvsim {
namespace {

StepTime::Context eager() {
  StepTime::Context context = kernels_only("llama-3.1-70b", "h100-sxm");
  context.graph_sizes.clear();
  return context;
}

std::unique_ptr<StepTime> pipelined(std::int64_t stages, Bandwidth bandwidth = Bandwidth(0)) {
  StepTime::Context context = eager();
  const std::int64_t hidden = context.llm.hidden;
  context.llm = pipeline_stage(context.llm, stages);
  return with_pipeline(
      make_step_time("fitted", context),
      {.stages = stages, .token_bytes = Bytes(2 * hidden), .bandwidth = bandwidth});
}

TEST(Pipeline, OneStageIsNoPipeline) {
  const auto plain = make_step_time("fitted", eager());
  const auto one = pipelined(1);
  for (const StepShape& shape : {decodes(64, 1000), prompt(3000)})
    EXPECT_EQ(one->gpu(shape).count(), plain->gpu(shape).count());
}

TEST(Pipeline, ManyDecodesAreAsFastAsFewerLayersOnAsManyGpus) {
  // Each of four GPUs works for a quarter of the sequences at a time, all the time.
  StepTime::Context context = eager();
  context.llm = pipeline_stage(context.llm, 4);
  const double quarter = make_step_time("fitted", context)->gpu(decodes(128, 1000)).count();
  const double step = pipelined(4)->gpu(decodes(512, 1000)).count();
  EXPECT_GE(step, 0.95 * 4 * quarter);
  EXPECT_LE(step, 1.001 * 4 * quarter);
}

TEST(Pipeline, ALonePromptGainsNothing) {
  const double whole = make_step_time("fitted", eager())->gpu(prompt(4000)).count();
  EXPECT_NEAR(pipelined(4)->gpu(prompt(4000)).count(), whole, 0.02 * whole);
  EXPECT_GE(pipelined(4, Bandwidth(10e9))->gpu(prompt(4000)).count(), whole);
}

TEST(Pipeline, AHandOverCostsItsBytesAtEachBorder) {
  const double free = pipelined(4)->gpu(prompt(4000)).count();
  const double paid = pipelined(4, Bandwidth(10e9))->gpu(prompt(4000)).count();
  EXPECT_NEAR(paid - free, 3 * 4000 * 2.0 * 8192 / 10e9, 1e-9);
}

TEST(Pipeline, FewerSequencesThanStagesAreOneToAMicroBatch) {
  EXPECT_NEAR(pipelined(4)->gpu(decodes(2, 1000)).count(),
              pipelined(4)->gpu(decodes(1, 1000)).count(), 1e-12);
}

TEST(Pipeline, LayersThatDoNotDivideCountAsTheLargestStage) {
  const LlmProfile llm = load_llm("llama-3.1-70b");
  EXPECT_EQ(pipeline_stage(llm, 3).layers, 27);
  EXPECT_THROW(pipeline_stage(llm, 81), ConfigError);
}

TEST(Pipeline, ARankHoldsItsShareOfWeightsAndKv) {
  const LlmProfile llm = load_llm("llama-3.1-70b");
  MemoryOptions options;
  options.max_model_len = 8192;
  options.tensor_parallel = 2;
  const MemoryBudget whole = memory_budget(llm, load_gpu("h200-sxm"), options);
  options.pipeline_parallel = 4;
  const MemoryBudget stage = memory_budget(llm, load_gpu("h200-sxm"), options);
  EXPECT_EQ(stage.kv_per_token.count() * 4, whole.kv_per_token.count());
  EXPECT_LT(stage.weights.real(), whole.weights.real() * 0.27);
  EXPECT_GT(stage.weights.real(), whole.weights.real() * 0.24);
  EXPECT_GT(stage.kv_tokens().count(), 4 * whole.kv_tokens().count());
}

}  // namespace
}  // namespace kvsim
