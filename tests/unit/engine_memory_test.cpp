// The engine when blocks are short: admission, eviction and preemption (spec/vllm.md sections 2, 4
// and 5). A step takes a second; blocks are counted without the placeholder.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

Script with_blocks(std::int64_t usable) {
  Script script;
  script.engine.kv_blocks = usable + 1;
  return script;
}

// Two prompts of three blocks that decode: full from the step at 1 on (4 + 4 blocks); at 17 the
// older one needs a block more.
Script two_that_outgrow_memory() {
  Script script = with_blocks(8);
  script.requests = {{.input = 48, .output = 40}, {.input = 48, .output = 40}};
  return script;
}

TEST(EngineMemory, FreedBlocksStayHittableUntilTheyAreHandedOutTailFirst) {
  Script script = with_blocks(10);
  // The second takes the six blocks never used and the last two of the first.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 128},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  EXPECT_EQ(run(script).requests[2].hit_tokens[0], 32);
}

TEST(EngineMemory, AHitKeepsABlockFromBeingHandedOut) {
  Script script = with_blocks(10);
  // The second holds the first's blocks; the third finds six others, exactly enough.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 65, .output = 4, .prompt = {text(1, 64), text(2, 1)}},
                     {.arrival = 10.5, .input = 80},
                     {.arrival = 30, .input = 65, .prompt = {text(1, 64), text(3, 1)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[0], 64);
  EXPECT_DOUBLE_EQ(story.first_token(2), 12);
  EXPECT_EQ(story.requests[3].hit_tokens[0], 64);
}

TEST(EngineMemory, ARequestThatDoesNotFitHoldsUpThoseBehindIt) {
  Script script = with_blocks(10);
  script.requests = {
      {.input = 96, .output = 20}, {.arrival = 0.25, .input = 80}, {.arrival = 0.5, .input = 16}};
  script.probes = {5};
  const Story story = run(script);
  EXPECT_EQ(story.gauges[0].waiting, 2);
  EXPECT_DOUBLE_EQ(story.ended(0), 20);
  EXPECT_DOUBLE_EQ(story.first_token(1), 21);
  EXPECT_DOUBLE_EQ(story.first_token(2), 21);
}

TEST(EngineMemory, AWholePromptMustFitToBeAdmitted) {
  Script script = with_blocks(10);
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 64, .output = 40}, {.arrival = 0.5, .input = 112}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.requests[1].queue.count(), 39.5);
  EXPECT_EQ(story.requests[1].preemptions, 0);
  EXPECT_DOUBLE_EQ(story.first_token(1), 42);
}

TEST(EngineMemory, WithoutReservationTheFirstChunkIsEnoughAndMayHaveToBeGivenBack) {
  Script script = with_blocks(10);
  script.engine.limits.max_batched_tokens = 64;
  script.engine.limits.reserve_whole_prompt = false;
  script.requests = {{.input = 64, .output = 40}, {.arrival = 0.5, .input = 112}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.requests[1].queue.count(), 0.5);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_GT(story.first_token(1), 40);
}

TEST(EngineMemory, TheWatermarkKeepsBlocksFreeBesideRunningRequests) {
  Script script = with_blocks(10);
  script.requests = {{.input = 64, .output = 10}, {.arrival = 0.5, .input = 64}};
  EXPECT_DOUBLE_EQ(run(script).first_token(1), 2);
  // Three of eleven: five free, two of them to be had, four needed.
  script.engine.limits.watermark = 0.3;
  EXPECT_DOUBLE_EQ(run(script).first_token(1), 11);
}

TEST(EngineMemory, TheWatermarkDoesNotCountWhenNothingRuns) {
  Script script = with_blocks(10);
  script.engine.limits.watermark = 0.3;
  script.requests = {{.input = 159}};
  EXPECT_DOUBLE_EQ(run(script).first_token(0), 1);
}

TEST(EngineMemory, TheNewestRunningRequestIsPreemptedAndRecomputed) {
  const Story story = run(two_that_outgrow_memory());
  EXPECT_EQ(story.requests[0].preemptions, 0);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 40);
  // It had 64 tokens with KV and 17 of its answer. The older one takes two of its four blocks, so
  // two are hit when it comes back at 40: 32 tokens are computed again, and one for the first time.
  EXPECT_EQ(story.counts.recomputed_tokens, 32);
  EXPECT_EQ(story.steps[40].prefill_tokens, 33);
  EXPECT_EQ(story.steps[40].prefill_context, 32);
  // Tokens that it had are not said again: 18 at 41, the last of 40 at 63.
  EXPECT_DOUBLE_EQ(story.first_token(1), 1);
  EXPECT_DOUBLE_EQ(story.ended(1), 63);
  EXPECT_EQ(story.requests[1].output_tokens, 40);
}

TEST(EngineMemory, HitsOfAPreemptedRequestThatComesBackAreNotCounted) {
  EXPECT_EQ(run(two_that_outgrow_memory()).requests[1].hit_tokens[0], 0);
}

TEST(EngineMemory, APreemptedRequestGoesAheadOfThoseThatWait) {
  Script script = two_that_outgrow_memory();
  // Waits from 5 on, when nothing is free. After the preemption at 17 three blocks are, but the
  // preempted one stands before it and does not fit until 40.
  script.requests.push_back({.arrival = 5, .input = 16});
  EXPECT_DOUBLE_EQ(run(script).first_token(2), 41);
}

TEST(EngineMemory, NobodyIsAdmittedInAStepWithAPreemption) {
  Script script = two_that_outgrow_memory();
  script.engine.limits.by_priority = true;
  script.requests[1].priority = 5;
  // Ahead of the preempted one by priority, and small enough for what it left.
  script.requests.push_back({.arrival = 16.5, .input = 16, .priority = 1});
  const Story story = run(script);
  EXPECT_EQ(story.steps[17].prefill_sequences, 0);
  EXPECT_EQ(story.steps[17].decode_sequences, 1);
  EXPECT_DOUBLE_EQ(story.first_token(2), 19);
}

TEST(EngineMemory, ByPriorityTheLeastImportantIsPreemptedThoughItIsTheOldest) {
  Script script = two_that_outgrow_memory();
  script.engine.limits.by_priority = true;
  script.requests[0].priority = 9;
  const Story story = run(script);
  EXPECT_EQ(story.requests[0].preemptions, 1);
  EXPECT_EQ(story.requests[1].preemptions, 0);
  EXPECT_DOUBLE_EQ(story.ended(1), 40);
}

TEST(EngineMemory, WhatAPreemptedRequestWasToComputeInTheStepIsNotComputed) {
  Script script = with_blocks(9);
  script.engine.limits.by_priority = true;
  script.engine.limits.long_prefill_threshold = 16;
  // At 5 the first takes the last free block for its sixth chunk; then the third, which comes later
  // in the running list but matters more, needs one.
  script.requests = {{.input = 140, .output = 2, .priority = 9},
                     {.arrival = 0.5, .input = 16, .output = 12},
                     {.arrival = 0.5, .input = 13, .output = 12}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[0].preemptions, 1);
  EXPECT_EQ(story.steps[4].prefill_tokens, 16);
  EXPECT_EQ(story.steps[5].prefill_tokens, 0);
  EXPECT_EQ(story.steps[5].prefill_sequences, 0);
  EXPECT_EQ(story.steps[5].decode_sequences, 2);
}

TEST(EngineMemory, UnderAsynchronousSchedulingPreemptionLosesNoToken) {
  Script script = two_that_outgrow_memory();
  script.engine.async_scheduling = true;
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 40);
  EXPECT_DOUBLE_EQ(story.ended(1), 63);  // as without asynchronous scheduling
  EXPECT_EQ(story.requests[1].output_tokens, 40);
}

TEST(EngineMemory, ATimedOutRequestMakesRoomForTheNext) {
  Script script = with_blocks(10);
  script.client_timeout = 5.5;
  script.requests = {{.input = 96, .output = 60}, {.arrival = 4, .input = 80}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kTimedOut);
  EXPECT_DOUBLE_EQ(story.first_token(1), 7);
}

}  // namespace
}  // namespace kvsim
