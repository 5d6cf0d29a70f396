// Chunks behind a gateway process. A step takes a second, a block 0.1 s in either direction, a
// chunk holds two blocks; what the tests are not about is free.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-6;  // the store's own part, where it is free
constexpr std::int64_t kBlock = 1 << 20;
constexpr std::int64_t kChunk = 2 * kBlock;

Json free_gateway() {
  return {{"command_s", 0},
          {"receive_bytes_per_s", 0},
          {"send_bytes_per_s", 0},
          {"loopback_round_trip_s", 0}};
}

// A server whose only cost is `command` for each key.
Json redis(double command) {
  return {{"kind", "redis"},      {"maxmemory_bytes", 1e12}, {"allocator", "exact"},
          {"command_s", command}, {"copies_in", 1},          {"copies_out", 1},
          {"tcp_copies", 0}};
}
// Copies of a value of one chunk by the store's thread, at the host's rate.
constexpr double kCopy = kChunk / 8e9;

Script with_gateway(const Json& options = Json::object(), double command = 0) {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.engine.unhashed_to_front = false;
  script.offload.emplace();
  Offload& offload = *script.offload;
  offload.block_bytes = kBlock;
  offload.up = offload.down = offload.up_together = offload.down_together = 10 * kBlock;
  offload.stores = {{"kv", redis(command)}};
  offload.plugin = {{"kind", "gateway"},
                    {"store", "kv"},
                    {"chunk_tokens", 32},
                    {"lookup_rpc_s", 0},
                    {"kernel_s", 0},
                    {"sync_s", 0},
                    {"load_efficiency", 1},
                    {"client",
                     {{"threads", 1},
                      {"blocking", true},
                      {"command_s", 0},
                      {"receive_bytes_per_s", 0},
                      {"send_bytes_per_s", 0}}},
                    {"gateway", free_gateway()}};
  offload.plugin.merge_patch(options);
  return script;
}

// The same prompt twice, with something left to compute.
std::vector<ScriptedRequest> twice() {
  return {{.input = 64, .prompt = {text(1, 64)}},
          {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
}

TEST(Gateway, ALoadTakesItsOwnTimeUnlessItIsPartOfTheStep) {
  Script script = with_gateway();
  script.requests = twice();
  script.requests.push_back({.arrival = 10, .input = 16, .output = 30});
  std::swap(script.requests[1], script.requests[2]);
  Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.4 + 2 * kCopy, kTolerance);
  EXPECT_NEAR(story.counts.longest_gap, 1, kTolerance);
  script.offload->plugin["in_step"] = true;
  story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 64);
  EXPECT_NEAR(story.counts.longest_gap, 1.4 + 2 * kCopy, kTolerance);
}

TEST(Gateway, KeysOfAMultiGetAreServedOneAfterTheOther) {
  Script script = with_gateway(Json::object(), 0.25);
  script.requests = twice();
  const Story story = run(script);
  // Two keys at 0.25 s each, for the lookup and for the load.
  EXPECT_NEAR(story.requests[1].lookup.count(), 0.5, kTolerance);
  EXPECT_NEAR(story.requests[1].fetch.count(), 0.5 + 2 * kCopy + 0.4, kTolerance);
}

TEST(Gateway, AMultiGetIsOneRoundTripAndSingleKeysAreOneEach) {
  Script script = with_gateway({{"gateway", {{"loopback_round_trip_s", 0.25}}}});
  script.requests = twice();
  EXPECT_NEAR(run(script).requests[1].fetch.count(), 0.25 + 2 * kCopy + 0.4, kTolerance);
  script.offload->plugin["gateway"]["batch_keys"] = 1;
  EXPECT_NEAR(run(script).requests[1].fetch.count(), 2 * (0.25 + kCopy) + 0.4, kTolerance);
}

TEST(Gateway, ItsThreadsWorkSideBySideAndItsSingleOneDoesNot) {
  Script script =
      with_gateway({{"gateway", {{"mode", "threads"}, {"threads", 2}, {"command_s", 0.5}}}});
  script.requests = twice();
  EXPECT_NEAR(run(script).requests[1].lookup.count(), 0.5, kTolerance);
  script.offload->plugin["gateway"]["threads"] = 1;
  EXPECT_NEAR(run(script).requests[1].lookup.count(), 1, kTolerance);
  script.offload->plugin["gateway"]["mode"] = "multi-get";
  EXPECT_NEAR(run(script).requests[1].lookup.count(), 1, kTolerance);
}

TEST(Gateway, EveryByteIsTakenInAndSentOnByTheProcess) {
  Script script = with_gateway(
      {{"gateway", {{"receive_bytes_per_s", 4 * kChunk}, {"send_bytes_per_s", 8 * kChunk}}}});
  script.requests = twice();
  EXPECT_NEAR(run(script).requests[1].fetch.count(), 2 * (0.25 + 0.125 + kCopy) + 0.4, kTolerance);
}

TEST(Gateway, WhatFindsNoRoomInTheStagingBufferIsDropped) {
  Script script = with_gateway({{"staging_bytes", 3 * kChunk}});
  script.requests = {{.input = 160, .prompt = {text(1, 160)}},
                     {.arrival = 20, .input = 176, .prompt = {text(1, 160), text(2, 16)}},
                     {.arrival = 40}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 96);
  EXPECT_EQ(story.counts.stored_bytes, 3 * kChunk + 2 * kChunk);
  EXPECT_EQ(story.counts.dropped_tokens, 2 * 32);
}

TEST(Gateway, ALoadLargerThanTheStagingBufferComesInPortions) {
  Script script = with_gateway();
  script.engine.limits.max_batched_tokens = 32;
  script.offload->plugin["staging_bytes"] = kChunk;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[1].fetch.count(), 0.4 + 2 * kCopy, kTolerance);
}

TEST(Gateway, ABufferSmallerThanAChunkIsNoTier) {
  Script script = with_gateway({{"staging_bytes", kChunk - 1}});
  script.requests = twice();
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 0);
  EXPECT_EQ(story.counts.up_bytes, 0);
}

TEST(Gateway, CompressedChunksAreSmallerAndCostTheClientTime) {
  Script script = with_gateway();
  script.offload->plugin["serde"] = {
      {"kind", "lz4"}, {"ratio", 2}, {"encode_bytes_per_s", 0}, {"decode_bytes_per_s", 8 * kChunk}};
  script.requests = twice();
  const Story story = run(script);
  EXPECT_EQ(story.counts.stored_bytes, kChunk);
  EXPECT_NEAR(story.requests[1].fetch.count(), kCopy + 0.25 + 0.4, kTolerance);
}

TEST(Gateway, AStoreThatDiesIsAMiss) {
  for (const bool in_step : {false, true}) {
    Script script = with_gateway({{"in_step", in_step}});
    script.offload->stores["kv"]["outages"] = {{{"at_s", 15}, {"for_s", 100}}};
    script.requests = twice();
    script.requests.push_back({.arrival = 60});  // the store of what was computed ends before
    const Story story = run(script);
    EXPECT_EQ(story.requests[1].hit_tokens[1], 0);
    EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
  }
}

TEST(Gateway, AStoreThatHangsBetweenLookupAndLoadMakesTheRequestComputeTheRest) {
  for (const bool in_step : {false, true}) {
    Script script = with_gateway({{"in_step", in_step}, {"timeout_s", 3}});
    script.offload->stores["kv"]["command_s"] = 0.25;
    script.offload->stores["kv"]["outages"] = {{{"at_s", 20.6}, {"for_s", 1000}, {"kind", "hung"}}};
    script.requests = twice();
    script.requests.push_back({.arrival = 60});  // the store of what was computed ends before
    const Story story = run(script);
    EXPECT_EQ(story.requests[1].hit_tokens[1], 0);
    EXPECT_NEAR(story.requests[1].fetch.count(), 3, kTolerance);
    EXPECT_EQ(story.steps[1].prefill_tokens, 80);
    EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
  }
}

TEST(Gateway, BlocksOfALoadThatFellShortAreNotGivenToOthers) {
  // The second request has more blocks than it computes for a while, beside one that grows, in
  // memory that the two of them fill sooner or later.
  for (int blocks = 7; blocks < 11; ++blocks) {
    for (int arrival = 10; arrival < 22; ++arrival) {
      Script script = with_gateway({{"timeout_s", 1.5}}, 0.001);
      script.engine.limits.max_batched_tokens = 16;
      script.engine.limits.reserve_whole_prompt = false;
      script.engine.kv_blocks = blocks;
      script.offload->stores["kv"]["outages"] = {
          {{"at_s", arrival + 1.25}, {"for_s", 1000}, {"kind", "hung"}}};
      script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                         {.arrival = 7, .input = 15, .output = 40},
                         {.arrival = arrival + 0.5,  // looked up half a second later
                          .input = 80,
                          .prompt = {text(1, 64), text(2, 16)}},
                         {.arrival = 100, .input = 15}};
      const Story story = run(script);
      EXPECT_EQ(story.outcome(2), Outcome::kCompleted) << blocks << " " << arrival;
    }
  }
}

}  // namespace
}  // namespace kvsim
