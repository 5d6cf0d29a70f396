// The native connector in an engine, against spec/vllm.md sections 8 and 9. A step takes a second,
// a block 0.1 s in either direction. Prefix caching is off where HBM must not hit; there freed
// blocks go to the tail of a long queue, so that no step waits for the store of a block that it
// reuses.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-9;

Script with_offload() {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.engine.unhashed_to_front = false;
  script.offload.emplace();
  return script;
}

Json plugin(Json options) {
  options["kind"] = "native";
  if (!options.contains("cpu_bytes")) options["cpu_bytes"] = 1'000'000'000;
  return options;
}

TEST(Offload, ALoadTakesItsSetupAndItsBytesOverTheBandwidth) {
  Script script = with_offload();
  script.offload->descriptor = 0.01;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  const RequestRecord& record = story.requests[1];
  EXPECT_EQ(record.hit_tokens[0], 0);
  EXPECT_EQ(record.hit_tokens[1], 64);
  EXPECT_NEAR(record.fetch.count(), 4 * 0.01 + 4 * 0.1, kTolerance);
  EXPECT_NEAR(record.queue.count(), 0, kTolerance);
  EXPECT_NEAR(story.first_token(1), 20.44 + 1, kTolerance);
  EXPECT_EQ(story.steps.back().prefill_tokens, 16);
  EXPECT_EQ(story.steps.back().prefill_context, 64);
  EXPECT_NEAR(story.counts.down_busy, 0.44, kTolerance);
}

TEST(Offload, WhatHbmHasEvictedIsLoadedBehindWhatItStillHolds) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 11;
  // The second request takes the first's last two blocks.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 128},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[0], 32);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_NEAR(story.first_token(2), 20.2 + 1, kTolerance);
}

TEST(Offload, ALoadUsesNoBudgetAndItsRequestThenNeedsASlot) {
  Script script = with_offload();
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 20, .input = 64}};
  script.probes = {20.2};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.first_token(2), 21);  // the whole budget, beside the load
  EXPECT_EQ(story.gauges[0].waiting, 1);
  EXPECT_EQ(story.gauges[0].running, 1);
  EXPECT_NEAR(story.requests[1].fetch.count(), 0.4, kTolerance);
  EXPECT_NEAR(story.requests[1].queue.count(), 0.6, kTolerance);
  EXPECT_NEAR(story.first_token(1), 22, kTolerance);
}

TEST(Offload, AFullHitComputesOneToken) {
  Script script = with_offload();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 64, .prompt = {text(1, 64)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_EQ(story.steps.back().prefill_tokens, 1);
  EXPECT_EQ(story.steps.back().prefill_context, 63);
}

TEST(Offload, LoadsFollowOneAnother) {
  Script script = with_offload();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.input = 64, .prompt = {text(2, 64)}},
                     {.arrival = 20, .input = 65, .prompt = {text(1, 64), text(3, 1)}},
                     {.arrival = 20, .input = 65, .prompt = {text(2, 64), text(3, 1)}}};
  const Story story = run(script);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.4, kTolerance);
  EXPECT_NEAR(story.requests[3].fetch.count(), 0.8, kTolerance);
  EXPECT_NEAR(story.counts.down_busy, 0.8, kTolerance);
}

TEST(Offload, RequestsLoadedDuringOneStepKeepTheirOrder) {
  Script script = with_offload();
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.input = 64, .prompt = {text(2, 64)}},
                     {.arrival = 19.5, .input = 64, .output = 10},
                     {.arrival = 20, .input = 124, .prompt = {text(1, 64), text(3, 60)}},
                     {.arrival = 20, .input = 124, .prompt = {text(2, 64), text(4, 60)}}};
  const Story story = run(script);
  // Both loads, from 20.5 to 21.3, lie within one step. The next has room for 63 tokens.
  EXPECT_DOUBLE_EQ(story.first_token(3), 22.5);
  EXPECT_DOUBLE_EQ(story.first_token(4), 23.5);
}

TEST(Offload, BothDirectionsSlowEachOtherDown) {
  Script script = with_offload();
  script.offload->up_together = 5e6;
  script.offload->down_together = 5e6;
  // The store of the second, 8 blocks from 3 on, has moved two when the load of 4 blocks begins.
  // Until 4.0 both move at half speed; then two blocks of the store are left. The last block of the
  // third follows its step.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 2, .input = 128},
                     {.arrival = 3.2, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 20}};
  const Story story = run(script);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.8, kTolerance);
  EXPECT_NEAR(story.first_token(2), 5, kTolerance);
  EXPECT_NEAR(story.counts.up_busy, 0.4 + 1.2 + 0.1, kTolerance);
  EXPECT_EQ(story.counts.up_bytes, 13'000'000);
  EXPECT_EQ(story.counts.down_bytes, 4'000'000);
}

TEST(Offload, AStoreUnderWayMakesTheLookupWait) {
  Script script = with_offload();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 1.125, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  // Stored at 1.4, loaded at 1.8.
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[1].fetch.count(), 0.4, kTolerance);
  EXPECT_NEAR(story.first_token(1), 2.8, kTolerance);
}

TEST(Offload, ARequestThatMustAskAgainHoldsNobodyUp) {
  Script script = with_offload();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 1.125, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 1.125, .input = 16}};
  EXPECT_DOUBLE_EQ(run(script).first_token(2), 2.125);
}

TEST(Offload, AChunkBeingLoadedForAnotherRequestMakesTheLookupWait) {
  Script script = with_offload();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 65, .prompt = {text(1, 64), text(2, 1)}},
                     {.arrival = 20, .input = 65, .prompt = {text(1, 64), text(3, 1)}}};
  const Story story = run(script);
  EXPECT_NEAR(story.first_token(1), 21.4, kTolerance);
  // Asks again when the step from 20.4 on ends: its own load takes from 21.4 to 21.8.
  EXPECT_EQ(story.requests[2].hit_tokens[1], 64);
  EXPECT_GT(story.first_token(2), 21.8);
}

TEST(Offload, AStoreThatFindsNoRoomIsDroppedAndTriedAgainWithTheNextChunks) {
  Script script = with_offload();
  script.engine.limits.max_batched_tokens = 32;
  script.offload->up = script.offload->up_together = 1e6 / 0.9;  // 0.9 s a block
  script.offload->plugin = plugin({{"cpu_bytes", 5'000'000}});
  // Two chunks a step. The first two are stored at 2.8; at 2, with room for one, nothing can be
  // evicted for the third pair; at 3 the first pair gives way to it and the seventh chunk.
  script.requests = {{.input = 112, .output = 20}};
  const Story story = run(script);
  EXPECT_EQ(story.counts.dropped_tokens, 32);
  EXPECT_EQ(story.counts.evicted_tokens, 32);
  EXPECT_EQ(story.counts.stored_bytes, 7'000'000);
}

TEST(Offload, GeneratedTokensAreStoredOnlyWhenAskedFor) {
  Script script = with_offload();
  script.requests = {
      {.input = 16, .output = 33, .prompt = {text(1, 16)}},
      {.arrival = 50, .input = 64, .prompt = {text(1, 16), answer_of(0, 33), text(2, 15)}},
      {.arrival = 60}};
  script.offload->plugin = plugin({{"prompt_only", true}});
  EXPECT_EQ(run(script).requests[1].hit_tokens[1], 16);
  script.offload->plugin = plugin({{"prompt_only", false}});
  EXPECT_EQ(run(script).requests[1].hit_tokens[1], 48);
}

TEST(Offload, AStepThatReusesABlockStillBeingStoredWaits) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64}, {.arrival = 0.5, .input = 127}};
  const Story story = run(script);
  EXPECT_NEAR(story.first_token(1), 1 + 0.4 + 1, kTolerance);
}

TEST(Offload, AStepThatReusesNoneOfThemDoesNotWait) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64}, {.arrival = 0.5, .input = 64}};
  EXPECT_DOUBLE_EQ(run(script).first_token(1), 2);
}

TEST(Offload, TokensThatWaitForAFlushAreThatMuchLater) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 16, .output = 4}, {.input = 64}, {.arrival = 0.5, .input = 96}};
  const Story story = run(script);
  // The first decodes with the third, which reuses three blocks of the second (and of the batch of
  // five that the step at 0 filled).
  EXPECT_NEAR(story.first_token(2), 1 + 0.5 + 1, kTolerance);
  EXPECT_NEAR(story.counts.longest_gap, 1.5, kTolerance);
}

TEST(Offload, ADecodeThatReusesABlockStillBeingStoredWaitsInAnyStep) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 7;
  script.offload->up = script.offload->up_together = 0.25e6;  // 4 s a block
  // The second decodes with the one block never used, then at 17 takes one of the first's, which
  // with its own first block are stored from 1 to 21.
  script.requests = {{.input = 64}, {.input = 16, .output = 40}};
  EXPECT_NEAR(run(script).ended(1), 40 + 4, kTolerance);
}

constexpr double kPlainCopy = 2.3e-6;

TEST(Offload, ALoadOfPlainCopiesDelaysTheStepThatBeginsNext) {
  Script script = with_offload();
  script.offload->layers = 4;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 16, .output = 10},
                     {.arrival = 22.5, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  script.offload->plugin = plugin({{"layout", "per-layer"}, {"plain_copies", false}});
  EXPECT_NEAR(run(script).ended(1), 30, kTolerance);
  script.offload->plugin = plugin({{"layout", "per-layer"}, {"plain_copies", true}});
  // Four blocks, four layers, keys and values.
  EXPECT_NEAR(run(script).ended(1), 30 + 32 * kPlainCopy, kTolerance);
  script.offload->plugin = plugin({{"layout", "cross-layer"}, {"plain_copies", true}});
  EXPECT_NEAR(run(script).ended(1), 30 + 4 * kPlainCopy, kTolerance);
}

TEST(Offload, StoresOfMorePlainCopiesThanAStreamTakesHoldTheirStepBack) {
  Script script = with_offload();
  script.requests = {{.input = 16}};
  script.offload->plugin = plugin({{"layout", "per-layer"}, {"plain_copies", true}});
  script.offload->layers = 512;
  EXPECT_NEAR(run(script).first_token(0), 1, kTolerance);
  script.offload->layers = 600;
  EXPECT_NEAR(run(script).first_token(0), 1 + (1200 - 1024) * kPlainCopy, kTolerance);
  script.offload->plugin = plugin({{"layout", "per-layer"}, {"plain_copies", false}});
  EXPECT_NEAR(run(script).first_token(0), 1, kTolerance);
}

TEST(Offload, WithoutDeferredStoresBlocksAreHeldUntilStored) {
  Script script = with_offload();
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64}, {.arrival = 10, .input = 15}};
  script.probes = {1.25, 1.75};
  script.offload->plugin = plugin({{"deferred_stores", true}});
  EXPECT_DOUBLE_EQ(run(script).gauges[0].kv_usage, 0);
  script.offload->plugin = plugin({{"deferred_stores", false}});
  const Story held = run(script);
  EXPECT_DOUBLE_EQ(held.gauges[0].kv_usage, 0.5);
  EXPECT_DOUBLE_EQ(held.gauges[1].kv_usage, 0);
}

TEST(Offload, BlocksHeldUntilStoredKeepARequestWaiting) {
  Script script = with_offload();
  script.engine.kv_blocks = 9;
  script.offload->plugin = plugin({{"deferred_stores", false}});
  script.requests = {{.input = 64}, {.arrival = 0.5, .input = 127}, {.arrival = 20, .input = 15}};
  const Story story = run(script);
  EXPECT_NEAR(story.requests[1].queue.count(), 0.9, kTolerance);
  EXPECT_NEAR(story.first_token(1), 2.4, kTolerance);
}

TEST(Offload, ReadyAtTheEndAChunkIsNoHitWhileTheRequestThatStoredItRuns) {
  Script script = with_offload();
  script.requests = {{.input = 64, .output = 10, .prompt = {text(1, 64)}},
                     {.arrival = 5, .input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 64, .prompt = {text(1, 64)}}};
  script.offload->plugin = plugin({{"ready_at_end", true}});
  const Story late = run(script);
  EXPECT_EQ(late.requests[1].hit_tokens[1], 0);
  EXPECT_EQ(late.requests[2].hit_tokens[1], 64);
  script.offload->plugin = plugin({{"ready_at_end", false}});
  EXPECT_EQ(run(script).requests[1].hit_tokens[1], 64);
}

TEST(Offload, ReadyAtTheEndBlocksStayForTheStepAfterTheLast) {
  Script script = with_offload();
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64}, {.input = 16, .output = 10}};
  script.probes = {1.75, 2.25};  // stored at 1.5 with the other's block
  script.offload->plugin = plugin({{"ready_at_end", true}});
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.gauges[0].kv_usage, 0.75);
  EXPECT_DOUBLE_EQ(story.gauges[1].kv_usage, 0.25);
}

TEST(Offload, ATierFullOfWhatRunningRequestsStoredIsWalkedOverInEveryStep) {
  constexpr double kScanned = 48e-9 + 4 * 0.9e-12;
  Script script = with_offload();
  script.requests = {{.input = 64, .output = 20}, {.arrival = 2.5, .input = 64, .output = 10}};
  Json options = {{"cpu_bytes", 4'000'000}, {"ready_at_end", true}, {"scans_to_evict", true}};
  script.offload->plugin = plugin(options);
  const Story full = run(script);
  EXPECT_NEAR(full.ended(1), 13 + 10 * 4 * kScanned, kTolerance);
  EXPECT_EQ(full.counts.dropped_tokens, 64) << "once a chunk, not with every try";
  options["scans_to_evict"] = false;
  script.offload->plugin = plugin(options);
  EXPECT_NEAR(run(script).ended(1), 13, kTolerance);
}

TEST(Offload, WhatFoundNoRoomIsStoredOnceSomebodyHasEnded) {
  Script script = with_offload();
  script.requests = {{.input = 64, .output = 4, .prompt = {text(1, 64)}},
                     {.input = 64, .output = 20, .prompt = {text(2, 64)}},
                     {.arrival = 40, .input = 64, .prompt = {text(2, 64)}}};
  script.offload->plugin = plugin({{"cpu_bytes", 4'000'000}, {"ready_at_end", true}});
  EXPECT_EQ(run(script).requests[2].hit_tokens[1], 64);
}

TEST(Offload, UnderAsynchronousSchedulingTheStepThatReusesABlockWaitsNotTheOneBeforeIt) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.async_scheduling = true;
  script.engine.kv_blocks = 7;
  // The second computes its prompt in the step at 16; the one at 17 preempts it for a block that
  // its prompt has just filled: stored from 17 to 17.4.
  script.requests = {{.input = 16, .output = 40}, {.arrival = 14.5, .input = 64, .output = 20}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_NEAR(story.first_token(1), 17, kTolerance);
  EXPECT_NEAR(story.ended(0), 40.4, kTolerance);
}

TEST(Offload, ABlockThatAPreemptedDecodeFilledIsStoredBeforeItIsReused) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 9;
  script.offload->plugin = plugin({{"prompt_only", false}});
  // At 17 the first takes the last block of the second, filled in the step before; it leaves with
  // the first's own fourth block.
  script.requests = {{.input = 48, .output = 40}, {.input = 48, .output = 40}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].preemptions, 1);
  EXPECT_NEAR(story.ended(0), 40.2, kTolerance);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

// The last request has 64 of its 96 tokens in DRAM and loads them from 21 on, into four of eight
// blocks. Another that decodes alone takes the rest, at 21, 37 and 53; its fifth block is due
// at 69.
Script crowded_by_a_load(double seconds_a_block) {
  Script script = with_offload();
  script.offload->down = script.offload->down_together = 1e6 / seconds_a_block;
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 5, .input = 127},
                     {.arrival = 20, .output = 70},
                     {.arrival = 20.5, .input = 96, .prompt = {text(1, 64), text(2, 32)}}};
  return script;
}

TEST(Offload, ARequestThatRunsAloneIsNotDrivenOutByBlocksLoadedForAnother) {
  // Loaded at 41, when what else its prompt needs does not fit any more.
  const Story story = run(crowded_by_a_load(5));
  EXPECT_EQ(story.requests[2].preemptions, 0);
  EXPECT_DOUBLE_EQ(story.ended(2), 90);
  EXPECT_EQ(story.outcome(3), Outcome::kCompleted);
}

TEST(Offload, ARequestThatRunsAloneWaitsForBlocksThatALoadFills) {
  const Story story = run(crowded_by_a_load(16));  // until 85
  EXPECT_EQ(story.requests[2].preemptions, 0);
  EXPECT_NEAR(story.ended(2), 90 + 16, kTolerance);
  EXPECT_NEAR(story.counts.longest_gap, 17, kTolerance);
}

TEST(Offload, AClientThatGivesUpDuringALoadLeavesWhenItHasArrived) {
  Script script = with_offload();
  script.offload->down = script.offload->down_together = 1e6;  // 1 s a block
  script.client_timeout = 2.5;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 30}};
  script.probes = {23.5, 24.5};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(1), Outcome::kTimedOut);
  EXPECT_NEAR(story.ended(1), 22.5, kTolerance);
  EXPECT_NEAR(story.gauges[0].kv_usage, 4 / 1000.0, kTolerance);
  EXPECT_NEAR(story.gauges[1].kv_usage, 0, kTolerance);
}

TEST(Offload, OnlyWholeChunksAreStoredAndLoaded) {
  Script script = with_offload();
  script.offload->plugin = plugin({{"blocks_per_chunk", 4}});
  // Six full blocks: one chunk.
  script.requests = {{.input = 100, .prompt = {text(1, 100)}},
                     {.arrival = 20, .input = 100, .prompt = {text(1, 100)}},
                     {.arrival = 30}};
  const Story story = run(script);
  EXPECT_EQ(story.counts.stored_bytes, 4'000'000);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_EQ(story.counts.down_bytes, 4'000'000);
}

TEST(Offload, OfAChunkOnlyTheBlocksThatHbmLacksAreLoaded) {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 11;
  script.offload->plugin = plugin({{"blocks_per_chunk", 4}});
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 128},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[0], 32);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_EQ(story.counts.down_bytes, 2'000'000);
}

// Prompts that are reused in turn, in a tier that holds two thirds of them.
Script reuse() {
  Script script = with_offload();
  script.engine.limits.prefix_caching = true;
  script.engine.kv_blocks = 30;
  script.engine.async_scheduling = true;
  for (int i = 0; i < 60; ++i)
    script.requests.push_back({.arrival = 0.7 * i,
                               .input = 100,
                               .output = 1 + i % 13,
                               .prompt = {text(static_cast<std::uint64_t>(i * i % 9), 90),
                                          text(100 + static_cast<std::uint64_t>(i), 10)}});
  return script;
}

TEST(Offload, ATierOfNoSizeEqualsNoTier) {
  Script script = reuse();
  script.offload->plugin = plugin({{"cpu_bytes", 0}});
  const Story none = run(script);
  script.offload.reset();
  const Story without = run(script);
  ASSERT_EQ(none.requests.size(), without.requests.size());
  for (std::size_t i = 0; i < none.requests.size(); ++i) {
    EXPECT_DOUBLE_EQ(none.ended(i), without.ended(i));
    EXPECT_EQ(none.requests[i].hit_tokens, without.requests[i].hit_tokens);
  }
}

TEST(Offload, EvictsByLeastRecentUseAndByAdaptiveReplacement) {
  for (const char* eviction : {"lru", "arc"}) {
    SCOPED_TRACE(eviction);
    Script script = reuse();
    script.offload->plugin = plugin({{"cpu_bytes", 30'000'000}, {"eviction", eviction}});
    const Story story = run(script);
    std::int64_t hits = 0;
    for (const RequestRecord& record : story.requests) hits += record.hit_tokens[1];
    EXPECT_GT(hits, 0);
    EXPECT_GT(story.counts.evicted_tokens, 0);
  }
}

}  // namespace
}  // namespace kvsim
