// SGLang's cache-aware policy against hand-computed rows. Pages of 16 tokens.
#include <gtest/gtest.h>

#include "tests/unit/router_bench.hpp"

namespace kvsim {
namespace {

const std::string kName = "sglang-cache-aware";
using Replicas = std::set<std::int32_t>;

class SglangRouter : public testing::Test {
 protected:
  SglangRouter() : bench_(3) {}
  void make(Json options = Json::object()) {
    options["kind"] = kName;
    bench_.make(options);
  }
  // Text 0, 160 tokens, has gone to replica 0 only.
  void send_to_first(std::uint64_t text = 0, std::int64_t tokens = 160) {
    for (std::size_t i = 1; i < bench_.views.size(); ++i) bench_.views[i].ready = false;
    EXPECT_EQ(bench_.route(tokens, text).replica, 0);
    for (ReplicaView& view : bench_.views) view.ready = true;
  }
  void in_flight(std::int64_t first, std::int64_t second, std::int64_t third) {
    bench_.views[0].in_flight = first;
    bench_.views[1].in_flight = second;
    bench_.views[2].in_flight = third;
  }
  RouterBench bench_;
};

TEST_F(SglangRouter, AnUnknownTextGoesToAnyOfTheLeastLoaded) {
  in_flight(2, 1, 1);
  EXPECT_EQ(bench_.choices_of_seeds(kName, 160), (Replicas{1, 2}));
}

TEST_F(SglangRouter, AMatchAboveTheThresholdBeatsLoad) {
  // 4 of 10 pages: 64 / 160 = 0.4 > 0.3.
  make();
  send_to_first();
  in_flight(5, 0, 0);
  const Decision decision = bench_.route(160, 7, 4);
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 64);
}

TEST_F(SglangRouter, TheRustDefaultsWantHalf) {
  // 0.4 < 0.5: the least loaded.
  make({{"launcher", "rust"}});
  send_to_first();
  in_flight(5, 1, 0);
  EXPECT_EQ(bench_.route(160, 7, 4).replica, 2);
}

TEST_F(SglangRouter, AMatchExactlyAtTheThresholdIsNone) {
  // 5 of 10 pages: 80 / 160 = 0.5; 6 of 10 are more.
  make({{"cache_threshold", 0.5}});
  send_to_first();
  in_flight(5, 1, 0);
  EXPECT_EQ(bench_.route(160, 7, 5).replica, 2);
  EXPECT_EQ(bench_.route(160, 8, 6).replica, 0);
}

TEST_F(SglangRouter, ImbalanceOverridesAMatchFromOneAboveTheAbsoluteThreshold) {
  // 69 - 5 = 64 is not above 64; 70 - 5 = 65 is, and 70 > 1.5 x 5.
  make();
  send_to_first();
  in_flight(69, 5, 6);
  EXPECT_EQ(bench_.route(160).replica, 0);
  in_flight(70, 5, 6);
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, ImbalanceNeedsTheRelativeThresholdToo) {
  // 300 - 200 = 100 > 64, but 300 is not above 1.5 x 200; it is above 1.5 x 199 = 298.5.
  make();
  send_to_first();
  in_flight(300, 200, 250);
  EXPECT_EQ(bench_.route(160).replica, 0);
  in_flight(300, 199, 250);
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, TheRustDefaultsSeeImbalanceEarlier) {
  // 37 - 5 = 32 is not above 32; 38 - 5 = 33 is.
  make({{"launcher", "rust"}});
  send_to_first();
  in_flight(37, 5, 6);
  EXPECT_EQ(bench_.route(160).replica, 0);
  in_flight(38, 5, 6);
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, AWorkerChosenForBalanceHasTheTextFromThenOn) {
  make();
  send_to_first();
  in_flight(100, 0, 50);
  EXPECT_EQ(bench_.route(160).replica, 1);
  in_flight(50, 50, 0);
  bench_.views[0].ready = false;
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, TheRestOfAPromptCountsAsMatched) {
  // 20 tokens are a page and a rest: both match, all 20 tokens.
  make({{"cache_threshold", 0.9}});
  send_to_first(0, 20);
  in_flight(5, 0, 0);
  const Decision decision = bench_.route(20);
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 20);
  EXPECT_TRUE(bench_.router->hashes().partial_tail);
}

TEST_F(SglangRouter, AWorkerThatIsNotReadyIsPassedOver) {
  make();
  send_to_first();
  bench_.views[0].ready = false;
  in_flight(0, 1, 2);
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, ALostWorkerHasNoTexts) {
  make();
  send_to_first();
  bench_.router->lost(0);
  in_flight(5, 0, 1);
  EXPECT_EQ(bench_.route(160).replica, 1);
}

TEST_F(SglangRouter, TreesAreCutBackToTheirSizeWhenTheIntervalEnds) {
  // 640 characters are 10 pages of 16 tokens of 4 characters; 20 pages are there until 120 s.
  make({{"max_tree_size", 640}, {"cache_threshold", 0}});
  send_to_first(0, 320);
  in_flight(5, 0, 0);
  bench_.now = Seconds(119.9);
  EXPECT_EQ(bench_.route(320).hit_tokens, 320);
  bench_.now = Seconds(120);
  EXPECT_EQ(bench_.route(320).hit_tokens, 160);
}

TEST_F(SglangRouter, LeavesOfTheOldestTextGoFirst) {
  // 15 of 20 pages stay: all of the younger text, the first 5 of the older.
  make({{"max_tree_size", 960}, {"cache_threshold", 0}});
  send_to_first(1);
  send_to_first(2);
  in_flight(5, 0, 0);
  bench_.now = Seconds(120);
  EXPECT_EQ(bench_.route(160, 2).hit_tokens, 160);
  EXPECT_EQ(bench_.route(160, 1).hit_tokens, 80);
}

TEST_F(SglangRouter, WhatIsLeftAfterACutIsStillFoundAndGrows) {
  make({{"max_tree_size", 640}, {"cache_threshold", 0}});
  send_to_first(0, 320);
  in_flight(5, 0, 0);
  for (const double now : {120.0, 240.0, 360.0}) {
    bench_.now = Seconds(now);
    EXPECT_EQ(bench_.route(320).hit_tokens, 160) << now;
    EXPECT_EQ(bench_.route(320).hit_tokens, 320) << now;
  }
}

}  // namespace
}  // namespace kvsim
