// SGLang's HiCache beside an engine, against spec/sglang_trtllm.md section 3. A step takes a
// second, a block 0.1 s in either direction, a quarter of that for each of four layers; HBM holds
// ten blocks.
#include <gtest/gtest.h>

#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

constexpr double kTolerance = 1e-9;
constexpr std::int64_t kBlock = 1'000'000;
// Long after the last copy, and too short to cause another.
const ScriptedRequest kLast = {.arrival = 90, .input = 15};

// The second request pushes the first out of HBM; the third asks for the first's prompt and more.
Script with_hicache(Json options = Json::object()) {
  Script script;
  script.engine.kv_blocks = 11;
  script.offload.emplace();
  script.offload->layers = 4;
  script.offload->plugin = {{"kind", "hicache"}};
  script.offload->plugin.update(options);
  script.requests = {{.input = 64, .prompt = {text(1, 64)}},
                     {.arrival = 10, .input = 159, .prompt = {text(2, 159)}},
                     {.arrival = 20, .input = 79, .prompt = {text(1, 64), text(3, 15)}},
                     kLast};
  return script;
}

// With a store below, and room for four blocks in L2: the second also pushes the first out of L2.
Script with_storage(Json options = Json::object()) {
  Script script =
      with_hicache({{"size_bytes", 4 * kBlock}, {"storage", "kv"}, {"prefetch_tokens", 64}});
  script.offload->plugin.update(options);
  script.offload->stores["kv"] = {
      {"kind", "redis"}, {"maxmemory_bytes", 1e12}, {"allocator", "exact"}};
  script.requests[1].input = 64;
  script.requests[1].prompt = {text(2, 64)};
  script.requests.insert(script.requests.begin() + 2, {.arrival = 15, .input = 159});
  return script;
}

TEST(Hicache, WriteThroughCopiesABlockWhenItsStepHasEnded) {
  Script script = with_hicache();
  script.requests = {script.requests[0], kLast};
  EXPECT_EQ(run(script).counts.up_bytes, 4 * kBlock);
  script.requests[1].arrival = 1.4 - 1e-6;  // the last copy is under way when the run ends
  script.offload->plugin["write_policy"] = "write_through_selective";
  EXPECT_EQ(run(script).counts.up_bytes, 0);
}

TEST(Hicache, SelectiveWriteThroughCopiesItAtItsSecondUse) {
  Script script = with_hicache({{"write_policy", "write_through_selective"}});
  script.requests = {script.requests[0],
                     {.arrival = 10, .input = 80, .prompt = {text(1, 64), text(3, 16)}},
                     kLast};
  EXPECT_EQ(run(script).counts.up_bytes, 4 * kBlock);  // not the fifth
}

TEST(Hicache, WriteBackCopiesItWhenHbmEvictsIt) {
  Script script = with_hicache({{"write_policy", "write_back"}});
  const Story story = run(script);
  // Ten blocks are wanted and six were never used: four are copied before the step.
  EXPECT_NEAR(story.first_token(1), 10 + 0.4 + 1, kTolerance);
  EXPECT_EQ(story.requests[2].hit_tokens[1], 64);
}

TEST(Hicache, OnlyTheFirstLayerOfALoadIsWaitedFor) {
  const Story story = run(with_hicache());
  EXPECT_EQ(story.requests[2].hit_tokens[1], 64);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.1, kTolerance);
  EXPECT_NEAR(story.first_token(2), 20 + 0.1 + 1, kTolerance);
  EXPECT_NEAR(story.counts.down_busy, 0.4, kTolerance);
}

TEST(Hicache, AStepEndsNoSoonerThanItsLoad) {
  Script script = with_hicache();
  script.offload->down = script.offload->down_together = 2.5e6;  // 0.4 s a block
  const Story story = run(script);
  EXPECT_NEAR(story.requests[2].fetch.count(), 0.4, kTolerance);
  EXPECT_NEAR(story.first_token(2), 20 + 4 * 0.4, kTolerance);
}

TEST(Hicache, LittleIsComputedInsteadOfLoaded) {
  EXPECT_EQ(run(with_hicache({{"load_back_tokens", 64}})).requests[2].hit_tokens[1], 64);
  EXPECT_EQ(run(with_hicache({{"load_back_tokens", 65}})).requests[2].hit_tokens[1], 0);
}

TEST(Hicache, TheHostHasRoomForARatioOfHbm) {
  // Three blocks: what does not fit is dropped.
  EXPECT_EQ(run(with_hicache({{"hicache_ratio", 0.3}})).requests[2].hit_tokens[1], 0);
  EXPECT_EQ(run(with_hicache({{"hicache_ratio", 2}})).requests[2].hit_tokens[1], 64);
}

TEST(Hicache, ARequestThatWaitsForTheStoreGetsAllOfIt) {
  const Story story = run(with_storage({{"prefetch_policy", "wait_complete"}}));
  EXPECT_EQ(story.requests[3].hit_tokens[1], 0);
  EXPECT_EQ(story.requests[3].hit_tokens[2], 64);
  EXPECT_GT(story.requests[3].lookup.count(), 0);
  EXPECT_NEAR(story.first_token(3), 20 + story.requests[3].lookup.count() + 0.1 + 1, kTolerance);
}

TEST(Hicache, BestEffortDoesNotWaitWhenTheEngineIsIdle) {
  const Story story = run(with_storage({{"prefetch_policy", "best_effort"}}));
  EXPECT_EQ(story.requests[3].hit_tokens[2], 0);
  EXPECT_NEAR(story.first_token(3), 21, kTolerance);
}

TEST(Hicache, BestEffortTakesWhatCameWhileTheEngineWasBusy) {
  Script script = with_storage({{"prefetch_policy", "best_effort"}});
  // Its prompt is being computed from 19.5 to 20.5, and it decodes until 29.5: the next asks at
  // 20.5 for the first time and at 21.5 again.
  script.requests.insert(script.requests.begin() + 3, {.arrival = 19.5, .input = 15, .output = 10});
  const Story story = run(script);
  EXPECT_EQ(story.requests[4].hit_tokens[2], 64);
  EXPECT_NEAR(story.first_token(4), 21.5 + 0.1 + 1, kTolerance);
}

TEST(Hicache, ALoadOfARequestThatAskedTwiceAtOnceBeginsOnce) {
  Script script = with_storage({{"prefetch_policy", "best_effort"}, {"size_bytes", 99 * kBlock}});
  script.requests[3] = {.arrival = 20, .input = 144, .prompt = {text(1, 64), text(3, 80)}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[3].hit_tokens[1], 64);
  EXPECT_NEAR(story.first_token(3), 20 + 0.1 + 1, kTolerance);
  EXPECT_NEAR(story.counts.down_busy, 0.4, kTolerance);
}

TEST(Hicache, ATimeOutEndsTheWaitForAHungStore) {
  Script script = with_storage();
  script.offload->stores["kv"]["outages"] = {{{"at_s", 19}, {"for_s", 60}, {"kind", "hung"}}};
  const Story story = run(script);
  EXPECT_EQ(story.requests[3].hit_tokens[2], 0);
  EXPECT_NEAR(story.first_token(3), 20 + (2 + 0.1 * 64 / 1024) + 1, kTolerance);
}

TEST(Hicache, ShortPrefixesAreNotFetchedFromTheStore) {
  const Story story = run(with_storage({{"prefetch_tokens", 65}}));
  EXPECT_EQ(story.requests[3].hit_tokens[2], 0);
  EXPECT_NEAR(story.first_token(3), 21, kTolerance);
}

TEST(Hicache, ATransferWithTheStoreHasNoMoreThanSoManyPages) {
  Script script = with_storage({{"prefetch_policy", "wait_complete"}, {"batch_pages", 2}});
  script.offload->plugin["client"] = {{"threads", 4}, {"blocking", true}, {"command_s", 1}};
  script.requests[3].arrival = 40;
  const Story story = run(script);
  // Each command takes a second of its thread: four lookups side by side, two pages, two more.
  EXPECT_GT(story.requests[3].lookup.count(), 3);
  EXPECT_LT(story.requests[3].lookup.count(), 3.1);
}

}  // namespace
}  // namespace kvsim
