// TensorRT-LLM's host offload beside an engine, against spec/sglang_trtllm.md section 5. A step
// takes a second, a block 0.1 s in either direction; HBM holds ten blocks.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-9;
constexpr std::int64_t kBlock = 1'000'000;

Script with_offload(Json options = Json::object()) {
  Script script;
  script.engine.kv_blocks = 11;
  script.offload.emplace();
  script.offload->plugin = {{"kind", "trtllm-host"}, {"host_cache_bytes", 1000 * kBlock}};
  script.offload->plugin.update(options);
  // The second evicts the last two blocks of the first, the third three of the second.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 128, .prompt = {text(2, 128)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(3, 16)}}};
  return script;
}

TEST(TrtllmHost, NothingIsCopiedBeforeHbmEvictsIt) {
  Script script = with_offload();
  script.requests.resize(1);
  const Story story = run(script);
  EXPECT_EQ(story.counts.up_bytes, 0);
  EXPECT_DOUBLE_EQ(story.first_token(0), 1);
}

TEST(TrtllmHost, AStepThatOverwritesBlocksWaitsUntilTheyAreCopied) {
  const Story story = run(with_offload());
  EXPECT_NEAR(story.first_token(1), 10 + 0.2 + 1, kTolerance);
}

TEST(TrtllmHost, WhatWasCopiedIsBroughtBackBeforeItsStep) {
  const Story story = run(with_offload());
  EXPECT_EQ(story.requests[2].hit_tokens[0], 32);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  // Three blocks go first, for room; then two come.
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.3 + 0.2, kTolerance);
  EXPECT_NEAR(story.first_token(2), 20 + 0.5 + 1, kTolerance);
  EXPECT_EQ(story.counts.up_bytes, 5 * kBlock);
  EXPECT_EQ(story.counts.down_bytes, 2 * kBlock);
}

TEST(TrtllmHost, BlocksOfLowPriorityAreNotCopied) {
  const Story story = run(with_offload({{"prompt_priority", 34}}));
  EXPECT_EQ(story.counts.up_bytes, 0);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
  EXPECT_NEAR(story.first_token(1), 11, kTolerance);
}

TEST(TrtllmHost, GeneratedTokensHaveAPriorityOfTheirOwn) {
  for (const int priority : {34, 35}) {
    Script script = with_offload({{"decode_priority", priority}});
    // The second fills HBM.
    script.requests = {
        {.input = 16, .output = 33, .prompt = {text(1, 16)}},
        {.arrival = 50, .input = 159},
        {.arrival = 60, .input = 64, .prompt = {text(1, 16), answer_of(0, 33), text(2, 15)}}};
    EXPECT_EQ(run(script).requests[2].hit_tokens[1], priority == 35 ? 48 : 16);
  }
}

TEST(TrtllmHost, TheHostGivesUpLowPrioritiesFirst) {
  // The host holds three blocks: one of a prompt, two generated ones, then the next prompt's.
  for (const int priority : {35, 36}) {
    Script script = with_offload({{"decode_priority", priority}, {"host_cache_bytes", 3 * kBlock}});
    script.requests = {
        {.input = 16, .output = 33, .prompt = {text(1, 16)}},
        {.arrival = 50, .input = 16, .prompt = {text(5, 16)}},
        {.arrival = 60, .input = 144},
        {.arrival = 65, .input = 15},
        {.arrival = 70, .input = 64, .prompt = {text(1, 16), answer_of(0, 33), text(2, 15)}}};
    // HBM evicts the first's three blocks, from the end, later the second's: with equal priorities
    // the last generated block makes room for it, else the first's prompt.
    EXPECT_EQ(run(script).requests[4].hit_tokens[1], priority == 35 ? 32 : 0);
  }
}

TEST(TrtllmHost, AFullHostDropsWhatItCannotTake) {
  const Story story = run(with_offload({{"host_cache_bytes", 2 * kBlock}}));
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_EQ(story.counts.dropped_tokens, 48);
  EXPECT_NEAR(story.first_token(2), 20 + 0.2 + 1, kTolerance);
}

}  // namespace
}  // namespace kvsim
