// SGLang's order of decisions (spec/sglang_trtllm.md section 1), step by step: a step takes a
// second.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

using Steps = std::vector<std::int64_t>;

Script sglang(Json options = Json::object()) {
  Script script;
  options["kind"] = "sglang";
  script.engine.scheduler = options;
  return script;
}

TEST(Sglang, DecodesPauseWhileAPromptComputes) {
  Script script = sglang();
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 16, .output = 10}, {.arrival = 0.5, .input = 160}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{16, 64, 64, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  for (std::size_t step = 1; step < 4; ++step) EXPECT_EQ(story.steps[step].decode_sequences, 0);
  EXPECT_DOUBLE_EQ(story.first_token(1), 4);
  EXPECT_DOUBLE_EQ(story.ended(0), 13);
  EXPECT_DOUBLE_EQ(story.counts.longest_gap, 4);  // the prompt's three steps and its own
}

TEST(Sglang, MixedChunksLetDecodesRunBesideThem) {
  Script script = sglang({{"enable_mixed_chunk", true}});
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 16, .output = 10}, {.arrival = 0.5, .input = 100}};
  const Story story = run(script);
  // A decode takes one token of the chunk, which ends with a block.
  EXPECT_EQ(story.prefill_tokens()[1], 48);
  EXPECT_EQ(story.steps[1].decode_sequences, 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 10);
  EXPECT_DOUBLE_EQ(story.counts.longest_gap, 1);
}

TEST(Sglang, EqualPromptsOfOneStepDoNotShare) {
  Script script = sglang();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 5, .input = 64, .prompt = {text(1, 64)}}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{128, 16}));
  EXPECT_EQ(story.requests[2].hit_tokens[0], 48);
}

TEST(Sglang, WithBlocksOfOneTokenOnlyTheLastTokenIsComputedAgain) {
  Script script = sglang();
  script.engine.limits.block_tokens = 1;
  script.requests = {{.input = 70, .prompt = {text(1, 70)}},
                     {.arrival = 5, .input = 70, .prompt = {text(1, 70)}}};
  EXPECT_EQ(run(script).prefill_tokens(), (Steps{70, 1}));
}

TEST(Sglang, LongestPrefixGoesFirstUnderLpm) {
  Script script = sglang({{"schedule_policy", "lpm"}});
  script.engine.limits.max_batched_tokens = 96;
  script.requests = {{.input = 96, .output = 2, .prompt = {text(1, 96)}},
                     {.arrival = 0.5, .input = 96},
                     {.arrival = 0.6, .input = 96, .prompt = {text(1, 96)}}};
  const Story story = run(script);
  EXPECT_LT(story.first_token(2), story.first_token(1) + 0.5);
  EXPECT_EQ(story.requests[2].hit_tokens[0], 80);
  EXPECT_EQ(story.prefill_tokens()[1], 16 + 80);
}

TEST(Sglang, AdmissionReservesAShareOfAnswersToCome) {
  // 20 blocks. The first holds 4 + up to 8; of its 127 remaining tokens 0.7 are reserved: 6 blocks.
  Script script = sglang();
  script.engine.kv_blocks = 1 + 20;
  script.requests = {{.input = 64, .output = 128},
                     {.arrival = 0.5, .input = 96, .output = 80},   // 11 blocks: too many
                     {.arrival = 0.6, .input = 32, .output = 16}};  // behind it
  const Story story = run(script);
  EXPECT_GE(story.first_token(1), story.ended(0));
  EXPECT_GE(story.first_token(2), story.ended(0));
}

TEST(Sglang, TheShortestAnswerIsRetractedWhenDecodesRunOut) {
  Script script = sglang({{"schedule_conservativeness", 0.0}});
  script.engine.kv_blocks = 1 + 14;
  script.engine.limits.prefix_caching = false;
  script.requests = {{.input = 63, .output = 80}, {.arrival = 2.5, .input = 63, .output = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[0].preemptions, 0);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_GT(story.ended(1), story.ended(0));
}

}  // namespace
}  // namespace kvsim
