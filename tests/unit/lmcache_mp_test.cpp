// LMCache's server beside an engine, against spec/lmcache.md section 8. A step takes a second, a
// block 0.1 s in either direction, a chunk holds two blocks; what the tests are not about is free.
// Prefix caching is off where HBM must not hit.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-9;
constexpr std::int64_t kBlock = 1 << 20;
constexpr std::int64_t kChunk = 2 * kBlock;

Script with_server(Json options = Json::object()) {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.engine.unhashed_to_front = false;
  script.offload.emplace();
  Offload& offload = *script.offload;
  offload.block_bytes = kBlock;
  offload.up = offload.down = offload.up_together = offload.down_together = 10 * kBlock;
  offload.plugin = {{"kind", "lmcache-mp"}, {"l1_bytes", 1000 * kChunk},
                    {"chunk_tokens", 32},   {"rpc_s", 0},
                    {"lookup_chunk_s", 0},  {"submit_s", 0},
                    {"kernel_s", 0},        {"notifier_s", 0}};
  offload.plugin.update(options);
  return script;
}

Json redis() { return {{"kind", "redis"}, {"maxmemory_bytes", 1e12}, {"allocator", "exact"}}; }

TEST(LmcacheMp, ALoadTakesOneKernelForABatchAndItsBytesOverTheLink) {
  Script script = with_server({{"kernel_s", 0.01}, {"copy_batch_chunks", 4}, {"submit_s", 0.02}});
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[1].fetch.count(), 2 * 0.02 + 0.01 + 0.4, kTolerance);
  EXPECT_NEAR(story.first_token(1), 20.45 + 1, kTolerance);
  EXPECT_EQ(story.steps.back().prefill_tokens, 16);
}

TEST(LmcacheMp, ALookupHoldsNobodyUp) {
  Script script = with_server({{"rpc_s", 0.5}});
  script.requests = {{.input = 16, .output = 10}, {.arrival = 2.25, .input = 48}};
  const Story story = run(script);
  // Asked for at 3, answered at 3.5; a step begins at 4.
  EXPECT_NEAR(story.counts.longest_gap, 1, kTolerance);
  EXPECT_NEAR(story.first_token(1), 5, kTolerance);
  EXPECT_NEAR(story.requests[1].lookup.count(), 0.5, kTolerance);
}

TEST(LmcacheMp, DecodesGoOnBesideALoad) {
  Script script = with_server();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 16, .output = 20},
                     {.arrival = 20.5, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_NEAR(story.counts.longest_gap, 1, kTolerance);
  EXPECT_NEAR(story.first_token(2), 23, kTolerance);  // looked up at 21, loaded at 21.4
}

TEST(LmcacheMp, OnlyWholeChunksAreStored) {
  Script script = with_server();
  script.requests = {{.input = 60, .prompt = {text(1, 60)}},
                     {.arrival = 20, .input = 60, .prompt = {text(1, 60)}}};
  const Story story = run(script);
  EXPECT_EQ(story.counts.stored_bytes, kChunk);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 32);
}

TEST(LmcacheMp, GeneratedTokensAreStoredUnlessToldOtherwise) {
  Script script = with_server();
  script.requests = {
      {.input = 16, .output = 17, .prompt = {text(1, 16)}},
      {.arrival = 50, .input = 48, .prompt = {text(1, 16), answer_of(0, 17), text(2, 15)}},
      {.arrival = 60}};
  EXPECT_EQ(run(script).requests[1].hit_tokens[1], 32);
  script.offload->plugin["save_decode_cache"] = false;
  EXPECT_EQ(run(script).requests[1].hit_tokens[1], 0);
}

TEST(LmcacheMp, BlocksAreKeptUntilTheirStoreIsDone) {
  Script script = with_server();
  script.engine.kv_blocks = 9;
  script.requests = {{.input = 64}, {.arrival = 10, .input = 15}};
  script.probes = {1.25, 1.75};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.gauges[0].kv_usage, 0.5);
  EXPECT_DOUBLE_EQ(story.gauges[1].kv_usage, 0);
}

TEST(LmcacheMp, EvictionComesWithTheNextLookAtTheTriggerAndTakesItsShare) {
  Script script = with_server({{"l1_bytes", 10 * kChunk}});
  // Eight chunks, stored at 2.6; the look at 3 takes two of them, the prompt's end.
  script.requests = {{.input = 256, .prompt = {text(1, 256)}},
                     {.arrival = 2.7, .input = 272, .prompt = {text(1, 256), text(2, 16)}},
                     {.arrival = 60}};
  script.engine.limits.max_batched_tokens = 512;
  Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 256);
  script.requests[1].arrival = 3.1;
  story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 192);
}

TEST(LmcacheMp, LookedUpChunksAreNotEvicted) {
  Script script = with_server({{"l1_bytes", 10 * kChunk}, {"eviction_ratio", 1}});
  script.engine.limits.max_batched_tokens = 512;
  script.offload->down = script.offload->down_together = kBlock;
  // Loading from 2.7 to 18.7, over many looks at the trigger.
  script.requests = {{.input = 256, .prompt = {text(1, 256)}},
                     {.arrival = 2.7, .input = 272, .prompt = {text(1, 256), text(2, 16)}},
                     {.arrival = 30, .input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 256);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
}

TEST(LmcacheMp, WhatFindsNoMemoryIsDroppedAndNothingIsEvictedForIt) {
  Script script = with_server({{"l1_bytes", 4 * kChunk}});
  script.requests = {{.input = 256}, {.arrival = 20}};
  const Story story = run(script);
  EXPECT_EQ(story.counts.stored_bytes, 4 * kChunk);
  EXPECT_EQ(story.counts.dropped_tokens, 4 * 32);
}

TEST(LmcacheMp, APreemptedRequestComputesEverythingAgain) {
  Script script = with_server({{"chunk_tokens", 16}});
  script.engine.async_scheduling = true;
  script.engine.kv_blocks = 7;
  script.requests = {{.input = 16, .output = 40}, {.arrival = 14.5, .input = 64, .output = 20}};
  const Story story = run(script);
  EXPECT_GT(story.requests[1].preemptions, 0);
  EXPECT_EQ(story.counts.down_bytes, 0);
  EXPECT_GT(story.counts.recomputed_tokens, 0);
}

TEST(LmcacheMp, WhatL1HasLostComesFromL2DuringTheLookup) {
  Script script = with_server({{"l1_bytes", 4 * kChunk}, {"l2", {{{"store", "kv"}}}}});
  script.offload->stores = {{"kv", redis()}};
  // Four chunks; the last one used, the end of the first prompt, goes.
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 32);
  EXPECT_GT(story.requests[2].lookup.count(), kChunk / 1e9);  // the client's thread alone
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.4, kTolerance);
}

TEST(LmcacheMp, AFetchFromL2IsNoticedAtTheNextTick) {
  Script script =
      with_server({{"l1_bytes", 4 * kChunk}, {"notifier_s", 0.25}, {"l2", {{{"store", "kv"}}}}});
  script.offload->stores = {{"kv", redis()}};
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64},
                     {.arrival = 20.125, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_NEAR(story.requests[2].lookup.count(), 0.125, kTolerance);
}

TEST(LmcacheMp, ADeadL2IsAMissAndIsLeftAloneForAWhile) {
  Script script = with_server({{"l1_bytes", 4 * kChunk}, {"l2", {{{"store", "kv"}}}}});
  Json dead = redis();
  dead["outages"] = {{{"at_s", 15}, {"for_s", 100}}};
  script.offload->stores = {{"kv", dead}};
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 25, .input = 80, .prompt = {text(1, 64), text(3, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 0);
  EXPECT_EQ(story.outcome(2), Outcome::kCompleted);
}

TEST(LmcacheMp, AHungL2CostsItsTimeOutOnce) {
  Script script =
      with_server({{"l1_bytes", 4 * kChunk}, {"l2", {{{"store", "kv"}, {"lookup_timeout_s", 2}}}}});
  Json hung = redis();
  hung["outages"] = {{{"at_s", 15}, {"for_s", 1000}, {"kind", "hung"}}};
  script.offload->stores = {{"kv", hung}};
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 64},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 25, .input = 80, .prompt = {text(1, 64), text(3, 16)}}};
  const Story story = run(script);
  EXPECT_NEAR(story.requests[2].lookup.count(), 2, kTolerance);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 32);
  EXPECT_NEAR(story.requests[3].lookup.count(), 0, kTolerance);
}

TEST(LmcacheMp, LocksThatNobodyTookUpExpire) {
  Script script =
      with_server({{"l1_bytes", 10 * kChunk}, {"eviction_ratio", 1}, {"read_ttl_s", 2}});
  script.engine.limits.max_batched_tokens = 512;
  script.engine.limits.max_sequences = 1;
  script.engine.kv_blocks = 41;
  // The third is looked up at 3 but finds no blocks before 33. Then its chunks have gone.
  script.requests = {{.input = 256, .prompt = {text(1, 256)}},
                     {.arrival = 2.8, .input = 400, .output = 30},
                     {.arrival = 2.9, .input = 272, .prompt = {text(1, 256), text(2, 16)}},
                     {.arrival = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
  EXPECT_EQ(story.outcome(2), Outcome::kCompleted);
}

TEST(LmcacheMp, AZeroSizeTierIsNone) {
  Script script = with_server({{"l1_bytes", 0}});
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 64, .prompt = {text(1, 64)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 0);
  EXPECT_EQ(story.counts.up_bytes, 0);
  EXPECT_EQ(story.counts.dropped_tokens, 0);
}

}  // namespace
}  // namespace kvsim
