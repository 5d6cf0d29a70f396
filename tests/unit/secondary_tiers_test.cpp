// Tiers below vLLM's DRAM tier, against spec/vllm.md section 9. A step takes a second, a block 0.1
// s in either direction, a chunk is a block; HBM must not hit.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-6;
constexpr std::int64_t kBlock = 1 << 20;

// A server whose only cost is `command` for each key, and the copy of a value.
Json redis(double command) {
  return {{"kind", "redis"},      {"maxmemory_bytes", 1e12}, {"allocator", "exact"},
          {"command_s", command}, {"copies_in", 1},          {"copies_out", 1},
          {"tcp_copies", 0}};
}

Script with_tiers(const Json& stores, std::int64_t blocks = 4) {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.engine.unhashed_to_front = false;
  script.offload.emplace();
  Offload& offload = *script.offload;
  offload.block_bytes = kBlock;
  offload.up = offload.down = offload.up_together = offload.down_together = 10 * kBlock;
  offload.stores = stores;
  offload.plugin = {{"kind", "native"}, {"cpu_bytes", blocks * kBlock}};
  for (const auto& [name, store] : stores.items())
    offload.plugin["secondary"].push_back({{"store", name}});
  return script;
}

// The first prompt once more, after another one has taken its place in DRAM.
std::vector<ScriptedRequest> lost_in_dram() {
  return {{.input = 64, .prompt = {text(1, 64)}},
          {.arrival = 10, .input = 64},
          {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
          {.arrival = 60}};
}

TEST(SecondaryTiers, WhatDramHasLostIsFetchedIntoItAndThenLoaded) {
  Script script = with_tiers({{"kv", redis(0)}});
  script.requests = lost_in_dram();
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 64);
  EXPECT_NEAR(story.requests[2].lookup.count(), 4 * kBlock / 8e9, kTolerance);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.4, kTolerance);
}

TEST(SecondaryTiers, TheRequestIsTriedAgainAndHoldsNobodyUp) {
  Script script = with_tiers({{"kv", redis(0.25)}});
  script.requests = lost_in_dram();
  script.requests[3] = {.arrival = 20, .input = 15, .output = 20};  // no chunk of its own
  const Story story = run(script);
  // Five keys to look up and four to get, on the server's one thread.
  EXPECT_NEAR(story.requests[2].lookup.count(), 9 * 0.25, 0.01);
  EXPECT_NEAR(story.first_token(3), 21, kTolerance);
  EXPECT_NEAR(story.counts.longest_gap, 1, kTolerance);
}

TEST(SecondaryTiers, EveryOneOfThemGetsEveryChunk) {
  Json dead = redis(0);
  dead["outages"] = {{{"at_s", 15}, {"for_s", 1000}}};
  Script script = with_tiers({{"a", dead}, {"b", redis(0)}});
  script.requests = lost_in_dram();
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 0);
  EXPECT_EQ(story.requests[2].hit_tokens[3], 64);
}

// A store that hangs when the first chunks, in DRAM at 1.4, are about to be written to it: they are
// given up at 11.4.
Script with_hung_tier() {
  Json hung = redis(0);
  hung["outages"] = {{{"at_s", 1.2}, {"for_s", 1000}, {"kind", "hung"}}};
  Script script = with_tiers({{"kv", hung}});
  script.offload->plugin["secondary"][0].update({{"timeout_s", 10}, {"lookup_timeout_s", 0.01}});
  return script;
}

TEST(SecondaryTiers, AChunkOnItsWayDownCanBeLoaded) {
  Script script = with_hung_tier();
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 2, .input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_NEAR(story.first_token(1), 2.4 + 1, kTolerance);
}

TEST(SecondaryTiers, AChunkOnItsWayDownIsNotEvicted) {
  Script script = with_hung_tier();
  script.requests = {{.input = 64}, {.arrival = 2, .input = 64}, {.arrival = 60, .input = 15}};
  EXPECT_EQ(run(script).counts.dropped_tokens, 64);
  script.requests[1].arrival = 12;
  EXPECT_EQ(run(script).counts.dropped_tokens, 0);
}

TEST(SecondaryTiers, ADeadOneIsAMiss) {
  Json dead = redis(0);
  dead["outages"] = {{{"at_s", 15}, {"for_s", 1000}}};
  Script script = with_tiers({{"kv", dead}});
  script.requests = lost_in_dram();
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 0);
  EXPECT_EQ(story.outcome(2), Outcome::kCompleted);
  EXPECT_NEAR(story.first_token(2), 21, kTolerance);
}

TEST(SecondaryTiers, OnlyAsMuchComesBackAsDramHasRoomFor) {
  Script script = with_tiers({{"kv", redis(0)}}, 2);
  script.engine.limits.max_batched_tokens = 32;
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 32},
                     {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}},
                     {.arrival = 60}};
  EXPECT_EQ(run(script).requests[2].hit_tokens[2], 32);
}

}  // namespace
}  // namespace kvsim
