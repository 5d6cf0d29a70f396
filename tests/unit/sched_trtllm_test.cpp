// TensorRT-LLM's capacity and chunking policies (spec/sglang_trtllm.md section 5): a step takes a
// second.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

using Steps = std::vector<std::int64_t>;

Script trtllm(Json options = Json::object()) {
  Script script;
  options["kind"] = "tensorrt-llm";
  script.engine.scheduler = options;
  script.engine.limits.chunked_prefill = false;
  return script;
}

TEST(Trtllm, PromptsRunWholeBesideDecodes) {
  Script script = trtllm();
  script.engine.limits.max_batched_tokens = 100;
  script.requests = {
      {.input = 16, .output = 4}, {.arrival = 0.5, .input = 60}, {.arrival = 0.6, .input = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{16, 60, 60, 0}));
  EXPECT_EQ(story.steps[1].decode_sequences, 1);
}

TEST(Trtllm, APromptThatFitsIsNotRefusedForItsAnswerUnlessItMayBePaused) {
  Script script = trtllm();
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 60, .output = 20}};
  EXPECT_EQ(run(script).outcome(0), Outcome::kCompleted);
  script.engine.scheduler["capacity_policy"] = "max_utilization";
  EXPECT_NE(run(script).outcome(0), Outcome::kCompleted);
}

TEST(Trtllm, NobodyStartsWithoutMemoryToItsLastToken) {
  Script script = trtllm();
  script.engine.kv_blocks = 1 + 12;
  script.requests = {{.input = 64, .output = 64}, {.input = 64, .output = 16}};  // 8 + 5 blocks
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.ended(0), 64);
  EXPECT_DOUBLE_EQ(story.first_token(1), 65);
  EXPECT_EQ(story.requests[0].preemptions + story.requests[1].preemptions, 0);
}

TEST(Trtllm, MaxUtilizationPacksAndPausesTheNewest) {
  Script script = trtllm({{"capacity_policy", "max_utilization"}});
  script.engine.kv_blocks = 1 + 12;
  script.requests = {{.input = 64, .output = 64}, {.input = 64, .output = 64}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(1), 1);
  EXPECT_EQ(story.requests[0].preemptions, 0);
  EXPECT_GE(story.requests[1].preemptions, 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 64);
}

TEST(Trtllm, AStaticBatchEndsBeforeTheNextBegins) {
  Script script = trtllm({{"capacity_policy", "static_batch"}});
  script.requests = {{.input = 16, .output = 10}, {.input = 16, .output = 3}, {.arrival = 1.5}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.ended(1), 3);
  EXPECT_DOUBLE_EQ(story.first_token(2), 11);
}

TEST(Trtllm, ADuplicatePromptWaitsForTheFirstOne) {
  Script script = trtllm();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.input = 64, .prompt = {text(1, 64)}},
                     {.input = 32}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64 + 32, 16}));
  EXPECT_EQ(story.requests[1].hit_tokens[0], 48);
}

TEST(Trtllm, ChunksAreGivenFirstComeOrAlike) {
  Script script = trtllm({{"context_chunking_policy", "first_come_first_served"}});
  script.engine.limits.chunked_prefill = true;
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 96}, {.input = 32}};
  Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 64}));
  EXPECT_DOUBLE_EQ(story.first_token(1), 2);
  script.engine.scheduler["context_chunking_policy"] = "equal_progress";
  story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 64}));
  EXPECT_EQ(story.steps[0].prefill_sequences, 2);
  EXPECT_DOUBLE_EQ(story.first_token(1), 1);
  EXPECT_DOUBLE_EQ(story.first_token(0), 2);
}

}  // namespace
}  // namespace kvsim
