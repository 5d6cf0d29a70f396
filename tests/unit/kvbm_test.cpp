// Dynamo's KV block manager beside an engine, against spec/dynamo.md section 5. A step takes a
// second, a block 0.1 s in either direction and 0.2 s on the disk; transfers need no preparation
// unless the test is about it. Prefix caching is off: HBM must not hit.
#include <gtest/gtest.h>

#include "sim/kv/conn_offload_queue.hpp"
#include "sim/kv/frequency_filter.hpp"
#include "tests/child.hpp"
#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-9;
constexpr double kInstant = 1e-6;
constexpr std::int64_t kBlock = 1'000'000;

Script with_kvbm(Json options = Json::object()) {
  Script script;
  script.engine.limits.prefix_caching = false;
  script.engine.unhashed_to_front = false;
  script.offload.emplace();
  script.offload->plugin = {
      {"kind", "kvbm"}, {"cpu_bytes", 1000 * kBlock}, {"transfer_setup_s", 0}};
  script.offload->plugin.update(options);
  return script;
}

// Long after the last offload, and too short to cause another.
const ScriptedRequest kLast = {.arrival = 90, .input = 15};

ScriptedRequest four_blocks(double at, std::uint64_t content) {
  return {.arrival = at, .input = 64, .prompt = {text(content, 64)}};
}

TEST(Kvbm, ALoadTakesItsSetupAndItsBytesWhileItsRequestWaits) {
  Script script = with_kvbm({{"transfer_setup_s", 0.05}});
  script.requests = {
      four_blocks(0, 1), {.arrival = 20, .input = 80, .prompt = {text(1, 64), text(2, 16)}}, kLast};
  const Story story = run(script);
  EXPECT_EQ(story.requests[1].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[1].fetch.count(), 0.05 + 0.4, kTolerance);
  EXPECT_NEAR(story.first_token(1), 20.45 + 1, kTolerance);
}

TEST(Kvbm, ABlockCanBeHitWhenItsOffloadHasEndedAndNotBefore) {
  for (const bool ended : {false, true}) {
    Script script = with_kvbm();
    script.requests = {four_blocks(0, 1), four_blocks(1.4 + (ended ? kInstant : -kInstant), 1)};
    EXPECT_EQ(run(script).requests[1].hit_tokens[1], ended ? 64 : 0);
  }
}

TEST(Kvbm, BlocksAreOffloadedInBatches) {
  // Each with its own setup: two blocks by 1.25, the others by 1.5.
  for (const bool ended : {false, true}) {
    Script script = with_kvbm({{"transfer_setup_s", 0.05}, {"transfer_blocks", 2}});
    script.requests = {four_blocks(0, 1), four_blocks(1.5 + (ended ? kInstant : -kInstant), 1)};
    EXPECT_EQ(run(script).requests[1].hit_tokens[1], ended ? 64 : 32);
  }
}

TEST(Kvbm, BlocksStayWithTheirRequestUntilTheyAreOffloaded) {
  Script script = with_kvbm();
  script.engine.kv_blocks = 9;
  script.requests = {four_blocks(0, 1), {.arrival = 10, .input = 15}};
  script.probes = {1.4 - kInstant, 1.4 + kInstant};
  const Story story = run(script);
  EXPECT_DOUBLE_EQ(story.gauges[0].kv_usage, 0.5);
  EXPECT_DOUBLE_EQ(story.gauges[1].kv_usage, 0);
}

TEST(Kvbm, ABlockGoesToTheDiskAtItsSecondOffload) {
  Script script =
      with_kvbm({{"cpu_bytes", 4 * kBlock}, {"disk", "ssd"}, {"disk_bytes", 100 * kBlock}});
  script.requests = {four_blocks(0, 1), four_blocks(10, 2), four_blocks(20, 1), four_blocks(30, 2),
                     four_blocks(40, 1)};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1] + story.requests[2].hit_tokens[2], 0);
  EXPECT_EQ(story.requests[4].hit_tokens[1], 0);
  EXPECT_EQ(story.requests[4].hit_tokens[2], 64);
}

TEST(Kvbm, WithoutTheFilterItGoesThereAtItsFirst) {
  Script script = with_kvbm({{"cpu_bytes", 4 * kBlock},
                             {"disk", "ssd"},
                             {"disk_bytes", 100 * kBlock},
                             {"disk_filter", false}});
  script.requests = {four_blocks(0, 1), four_blocks(10, 2), four_blocks(20, 1)};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 64);
  // The disk takes 0.8 s; the copy goes on beside it.
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.8, kTolerance);
}

TEST(Kvbm, WithoutGpuDirectTheDiskComesFirstAndThenTheCopy) {
  Script script = with_kvbm({{"cpu_bytes", 4 * kBlock},
                             {"disk", "ssd"},
                             {"disk_bytes", 100 * kBlock},
                             {"disk_filter", false},
                             {"gpu_direct", false}});
  script.requests = {four_blocks(0, 1), four_blocks(10, 2), four_blocks(20, 1)};
  EXPECT_NEAR(run(script).requests[2].fetch.count(), 0.8 + 0.4, kTolerance);
}

TEST(Kvbm, BlocksBeingWrittenToTheDiskStayInDram) {
  // In DRAM at 1.4, on the disk at 2.2. The second's blocks come at 2.1 or 2.3: before, they find
  // no room and are dropped.
  for (const bool written : {false, true}) {
    Script script = with_kvbm({{"cpu_bytes", 4 * kBlock},
                               {"disk", "ssd"},
                               {"disk_bytes", 100 * kBlock},
                               {"disk_filter", false}});
    script.requests = {four_blocks(0, 1), four_blocks(written ? 1.3 : 1.1, 2), four_blocks(20, 2),
                       kLast};
    EXPECT_EQ(run(script).requests[2].hit_tokens[1], written ? 64 : 0);
  }
}

TEST(Kvbm, WhatTheHostHasLostComesFromTheStore) {
  Script script = with_kvbm({{"cpu_bytes", 4 * kBlock}, {"remote", "kv"}});
  script.offload->stores = {
      {"kv", {{"kind", "redis"}, {"maxmemory_bytes", 1e12}, {"allocator", "exact"}}}};
  script.requests = {four_blocks(0, 1), four_blocks(10, 2), four_blocks(20, 1)};
  const Story story = run(script);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 0);
  EXPECT_EQ(story.requests[2].hit_tokens[2], 64);
  EXPECT_GT(story.requests[2].fetch.count(), 0.4);
}

TEST(FrequencyFilter, PassesFromTheSecondTimeOn) {
  FrequencyFilter filter({});
  EXPECT_FALSE(filter.seen(1, Seconds(0)));
  EXPECT_TRUE(filter.seen(1, Seconds(1)));
  EXPECT_TRUE(filter.seen(1, Seconds(2)));
  EXPECT_FALSE(filter.seen(2, Seconds(3)));
}

TEST(FrequencyFilter, ForgetsOneAPeriod) {
  FrequencyFilter filter({});
  EXPECT_FALSE(filter.seen(1, Seconds(0)));
  EXPECT_TRUE(filter.seen(1, Seconds(599)));    // 2
  EXPECT_TRUE(filter.seen(1, Seconds(600)));    // 1, doubled
  EXPECT_FALSE(filter.seen(1, Seconds(1800)));  // 0, seen anew
}

TEST(FrequencyFilter, KnowsNoMoreKeysThanItMay) {
  FrequencyFilter filter({.most_keys = 2});
  for (const BlockHash key : {1, 2, 3}) EXPECT_FALSE(filter.seen(key, Seconds(0)));
  EXPECT_TRUE(filter.seen(3, Seconds(0)));
  EXPECT_FALSE(filter.seen(1, Seconds(0)));
}

TEST(OffloadQueue, LowerPriorityValuesGoFirstAndEqualOnesInOrder) {
  in_child([] {
    World world;
    Tasks tasks(world);
    std::vector<BlockHash> copied;
    const auto copy = [&](std::vector<ChunkPart> chunks) -> Task {
      co_await tasks.sleep(Seconds(1));
      for (const ChunkPart& chunk : chunks) copied.push_back(chunk.key);
    };
    OffloadQueue queue(tasks, {.in_flight = 1, .batch = 2}, copy);
    queue.add({{1, Bytes(1)}}, 5);  // leaves at once
    queue.add({{2, Bytes(1)}, {3, Bytes(1)}}, 5);
    queue.add({{4, Bytes(1)}, {2, Bytes(1)}}, 1);  // the second waits already
    world.run();
    EXPECT_EQ(copied, (std::vector<BlockHash>{1, 4, 2, 3}));
    EXPECT_DOUBLE_EQ(tasks.now().count(), 3);
  });
}

}  // namespace
}  // namespace kvsim
