// The engine against spec/vllm.md sections 1 to 4, step by step: a step takes a second. Memory
// shortage is in engine_memory_test.cpp.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

using Steps = std::vector<std::int64_t>;

TEST(Engine, APromptLongerThanTheBudgetIsSplitOverSteps) {
  Script script;
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 150, .output = 2}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 64, 22, 0}));
  EXPECT_EQ(story.steps[2].prefill_context, 128);
  EXPECT_DOUBLE_EQ(story.steps[2].prefill_pairs, 22 * (128 + 22 / 2.0));
  EXPECT_EQ(story.steps[1].sampled, 0);
  EXPECT_EQ(story.steps[2].sampled, 1);
  EXPECT_EQ(story.steps[3].decode_context, 151);
  EXPECT_DOUBLE_EQ(story.first_token(0), 3);
  EXPECT_DOUBLE_EQ(story.ended(0), 4);
}

TEST(Engine, ADecodeKeepsItsTokenOfEachStepBesideAWaitingPrompt) {
  Script script;
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 16, .output = 10}, {.arrival = 0.5, .input = 200}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{16, 63, 63, 63, 11, 0, 0, 0, 0, 0}));
  for (std::size_t step = 1; step < 5; ++step) EXPECT_EQ(story.steps[step].decode_sequences, 1);
  EXPECT_DOUBLE_EQ(story.first_token(1), 5);
  EXPECT_DOUBLE_EQ(story.ended(0), 10);
}

TEST(Engine, APartlyComputedPromptGoesAheadOfWaitingOnes) {
  Script script;
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 100}, {.input = 40}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 36 + 28, 12}));
  EXPECT_DOUBLE_EQ(story.first_token(0), 2);
  EXPECT_DOUBLE_EQ(story.first_token(1), 3);
}

TEST(Engine, ALongPromptTakesAtMostItsThresholdOfAStep) {
  Script script;
  script.engine.limits.long_prefill_threshold = 32;
  script.requests = {{.input = 100}, {.input = 40}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 32 + 8, 32, 4}));
  EXPECT_EQ(story.steps[0].prefill_sequences, 2);
  EXPECT_DOUBLE_EQ(story.first_token(0), 4);
  EXPECT_DOUBLE_EQ(story.first_token(1), 2);
}

TEST(Engine, NoMoreThanMaxSequencesRunAtOnce) {
  Script script;
  script.engine.limits.max_sequences = 2;
  script.requests = {{.output = 4}, {.output = 6}, {.output = 2}};
  script.probes = {2.5};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(1), 1);
  EXPECT_DOUBLE_EQ(story.first_token(2), 4 + 1);
  EXPECT_EQ(story.gauges[0].running, 2);
  EXPECT_EQ(story.gauges[0].waiting, 1);
}

TEST(Engine, WithoutChunkedPrefillAPromptThatDoesNotFitTheRestOfTheBudgetStopsThePass) {
  Script script;
  script.engine.limits.max_batched_tokens = 64;
  script.engine.limits.chunked_prefill = false;
  script.requests = {{.input = 40, .output = 2}, {.input = 40}, {.input = 10}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{40, 50}));
  EXPECT_DOUBLE_EQ(story.first_token(1), 2);
  EXPECT_DOUBLE_EQ(story.first_token(2), 2);
}

TEST(Engine, ACachedPromptThatEndsWithABlockComputesItsLastBlockAgain) {
  Script script;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64, .prompt = {text(1, 64)}}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 16}));
  EXPECT_EQ(story.steps[1].prefill_context, 48);
  EXPECT_EQ(story.requests[1].hit_tokens[0], 48);
}

TEST(Engine, ACachedPromptThatEndsInsideABlockComputesOnlyWhatIsInThatBlock) {
  Script script;
  script.requests = {{.input = 70, .prompt = {text(1, 70)}},
                     {.arrival = 10, .input = 70, .prompt = {text(1, 70)}}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{70, 6}));
  EXPECT_EQ(story.requests[1].hit_tokens[0], 64);
}

TEST(Engine, WithoutPrefixCachingNothingHits) {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64, .prompt = {text(1, 64)}}};
  EXPECT_EQ(run(script).prefill_tokens(), (Steps{64, 64}));
}

TEST(Engine, AnIdenticalPromptAdmittedInTheSameStepHits) {
  Script script;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.input = 64, .prompt = {text(1, 64)}}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64 + 16}));
  EXPECT_EQ(story.requests[1].hit_tokens[0], 48);
}

TEST(Engine, ContentComputedTwiceAtATimeLiesInTwoBlocks) {
  Script script;
  script.engine.limits.long_prefill_threshold = 32;
  script.requests = {{.input = 128, .output = 3, .prompt = {text(1, 128)}},
                     {.input = 128, .output = 3, .prompt = {text(1, 128)}}};
  script.probes = {3.5};
  const Story story = run(script);
  // Both take 32 tokens a step; the second is two blocks ahead, by hits.
  EXPECT_EQ(story.requests[1].hit_tokens[0], 32);
  EXPECT_EQ(story.prefill_tokens(), (Steps{64, 64, 64, 32, 0, 0}));
  // The first holds 8 blocks, the second 8 and one for its answer; the first two are shared.
  EXPECT_NEAR(story.gauges[0].kv_usage, 15 / 1000.0, 1e-12);
}

TEST(Engine, BlocksThatADecodeFilledAreHitByTheNextTurn) {
  Script script;
  // The last token of an answer has no KV: 16 + 33 - 1 tokens fill three blocks.
  script.requests = {{.input = 16, .output = 33, .prompt = {text(1, 16)}, .session = 0, .turn = 0},
                     {.input = 64,
                      .prompt = {text(1, 16), answer_of(0, 33), text(2, 15)},
                      .session = 0,
                      .turn = 1,
                      .think = 0.25}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.ended(0), 33);
  EXPECT_DOUBLE_EQ(story.requests[1].sent.count(), 33.25);
  EXPECT_DOUBLE_EQ(story.first_token(1), 34.25);
  EXPECT_EQ(story.requests[1].hit_tokens[0], 48);
}

TEST(Engine, ABlockThatLacksOneTokenIsNotHit) {
  Script script;
  script.requests = {
      {.input = 16, .output = 32, .prompt = {text(1, 16)}},
      {.arrival = 50, .input = 64, .prompt = {text(1, 16), answer_of(0, 32), text(2, 16)}}};
  EXPECT_EQ(run(script).requests[1].hit_tokens[0], 32);
}

TEST(Engine, ARequestLongerThanMaxModelLenIsRefusedAndCounted) {
  Script script;
  script.engine.limits.max_model_len = 100;
  script.requests = {{.input = 60, .output = 41}, {.input = 60, .output = 40}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kRefused);
  EXPECT_DOUBLE_EQ(story.ended(0), 0);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

TEST(Engine, ARequestThatCanNeverFitIsRefusedAndTheOthersGoOn) {
  Script script;
  script.engine.kv_blocks = 5;  // 64 tokens
  script.requests = {{.input = 40, .output = 25}, {.input = 40, .output = 24}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kRefused);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

TEST(Engine, WithoutChunkedPrefillARequestThatCouldNotBeRecomputedInOneStepIsRefused) {
  Script script;
  script.engine.limits.max_batched_tokens = 64;
  script.engine.limits.chunked_prefill = false;
  script.requests = {{.input = 40, .output = 25}, {.input = 40, .output = 24}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kRefused);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

TEST(Engine, AnArrivalWaitsForTheEndOfTheStepUnderWay) {
  Script script;
  script.requests = {{.output = 10}, {.arrival = 1.5}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(1), 2 + 1);
  EXPECT_DOUBLE_EQ(story.requests[1].queue.count(), 0.5);
  EXPECT_DOUBLE_EQ(story.requests[1].prefill.count(), 1);
}

TEST(Engine, UnderAsynchronousSchedulingAnArrivalWaitsForTheStepAfterItToo) {
  Script script;
  script.engine.async_scheduling = true;
  script.requests = {{.output = 10}, {.arrival = 1.5}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(1), 3 + 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 10);
}

TEST(Engine, AnIdleEngineStartsAtOnce) {
  for (const bool async : {false, true}) {
    Script script;
    script.engine.async_scheduling = async;
    script.requests = {{.arrival = 0.75, .output = 3}, {.arrival = 10.25, .output = 3}};
    const Story story = run(script);
    EXPECT_DOUBLE_EQ(story.first_token(0), 1.75);
    EXPECT_DOUBLE_EQ(story.ended(1), 13.25);
    EXPECT_EQ(story.counts.steps, 6);  // an end by length wastes no step
  }
}

TEST(Engine, AStepTakesHostAndGpuTimeOrUnderAsynchronousSchedulingTheLarger) {
  Script script;
  script.requests = {{.output = 4}};
  script.step_gpu = 1;
  script.step_cpu = 0.25;
  EXPECT_DOUBLE_EQ(run(script).ended(0), 4 * 1.25);
  script.engine.async_scheduling = true;
  EXPECT_DOUBLE_EQ(run(script).ended(0), 4 * 1.0);
  script.step_cpu = 1.5;
  EXPECT_DOUBLE_EQ(run(script).ended(0), 4 * 1.5);
}

TEST(Engine, AClientThatGivesUpFreesTheBlocksOfARunningRequest) {
  Script script;
  script.client_timeout = 5.5;
  script.requests = {{.input = 64, .output = 100}, {.arrival = 8}};
  script.probes = {5.75, 7};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kTimedOut);
  EXPECT_DOUBLE_EQ(story.ended(0), 5.5);
  EXPECT_EQ(story.gauges[0].running, 1);  // until the end of the step
  EXPECT_EQ(story.gauges[1].running, 0);
  EXPECT_DOUBLE_EQ(story.gauges[1].kv_usage, 0);
  EXPECT_EQ(story.counts.steps, 6 + 1);
}

TEST(Engine, AClientThatGivesUpLeavesTheWaitingQueue) {
  Script script;
  script.client_timeout = 5.5;
  script.engine.limits.max_sequences = 1;
  script.requests = {
      {.output = 5}, {.output = 100}, {.arrival = 0.25, .output = 100}, {.arrival = 3}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kCompleted);
  // The second runs from 5 on, the third never does; both leave at 6.
  EXPECT_EQ(story.outcome(1), Outcome::kTimedOut);
  EXPECT_EQ(story.outcome(2), Outcome::kTimedOut);
  EXPECT_DOUBLE_EQ(story.ended(2), 5.75);
  EXPECT_EQ(story.requests[2].output_tokens, 0);
  EXPECT_DOUBLE_EQ(story.first_token(3), 7);
}

TEST(Engine, AnAnswerThatIsCompleteAfterTheClientGaveUpHasTimedOut) {
  Script script;
  script.client_timeout = 5.5;
  script.requests = {{.output = 6}, {.arrival = 10, .output = 5}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kTimedOut);
  EXPECT_DOUBLE_EQ(story.ended(0), 5.5);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

TEST(Engine, AFirstTokenThatComesAfterTheClientGaveUpIsNotCounted) {
  Script script;
  script.client_timeout = 0.5;
  script.requests = {{.output = 6}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kTimedOut);
  EXPECT_LT(story.first_token(0), 0);
}

TEST(Engine, GaugesCountCachedBlocksThatNobodyHoldsAsFree) {
  Script script;
  script.requests = {{.input = 160, .output = 2, .prompt = {text(1, 160)}},
                     {.arrival = 10, .input = 160, .prompt = {text(1, 160)}}};
  script.probes = {1.5, 5};
  const Story story = run(script);
  EXPECT_NEAR(story.gauges[0].kv_usage, 11 / 1000.0, 1e-12);
  EXPECT_DOUBLE_EQ(story.gauges[1].kv_usage, 0);
  EXPECT_EQ(story.requests[1].hit_tokens[0], 144);  // and yet they are there
}

TEST(Engine, GaugesShowTheStateBeforeTheirInstant) {
  Script script;
  // Decodes take a new block at steps that begin at 1, 17 and 33.
  script.requests = {{.input = 16, .output = 40}, {.arrival = 60}};
  script.probes = {17, 17.5, 33, 33.5, 40, 40.5};
  const Story story = run(script);
  const auto blocks = [&](std::size_t i) { return story.gauges[i].kv_usage * 1000; };
  EXPECT_NEAR(blocks(0), 2, 1e-9);
  EXPECT_NEAR(blocks(1), 3, 1e-9);
  EXPECT_NEAR(blocks(2), 3, 1e-9);
  EXPECT_NEAR(blocks(3), 4, 1e-9);
  EXPECT_EQ(story.gauges[4].running, 1);
  EXPECT_EQ(story.gauges[5].running, 0);
}

TEST(Engine, WaitingRequestsAreServedByPriorityThenByArrival) {
  Script script;
  script.engine.limits.by_priority = true;
  script.engine.limits.max_sequences = 1;
  script.requests = {{},
                     {.arrival = 0.2, .priority = 5},
                     {.arrival = 0.3, .priority = 1},
                     {.arrival = 0.4, .priority = 1},
                     {.arrival = 0.5, .priority = -1}};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(4), 2);
  EXPECT_DOUBLE_EQ(story.first_token(2), 3);
  EXPECT_DOUBLE_EQ(story.first_token(3), 4);
  EXPECT_DOUBLE_EQ(story.first_token(1), 5);
}

TEST(Engine, GapsBetweenTokensAreStepDurations) {
  Script script;
  script.step_per_prefill_token = 0.001;
  script.requests = {{.output = 10}, {.arrival = 1.5, .input = 100}};
  EXPECT_NEAR(run(script).counts.longest_gap, 1.1, 1e-9);
}

}  // namespace
}  // namespace kvsim
