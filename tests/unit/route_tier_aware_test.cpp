// The tier-aware router against hand-computed rows. A token computed is a millisecond, one fetched
// from DRAM a tenth of one, one from disk two; the prompt has 1,600 tokens, 100 blocks.
#include <gtest/gtest.h>

#include "tests/unit/router_bench.hpp"

namespace kvsim {
namespace {

const std::string kName = "tier-aware";
using Replicas = std::set<std::int32_t>;

class TierAwareRouter : public testing::Test {
 protected:
  TierAwareRouter() : bench_(3) {
    bench_.context.tiers = {"hbm", "dram", "disk"};
    bench_.context.fetch_time = [](std::int32_t, std::size_t tier, Bytes bytes) {
      return bytes / Bandwidth(tier == 1 ? 10e6 : 0.5e6);
    };
  }
  void make(Json options = Json::object()) {
    options["kind"] = kName;
    if (!options.contains("decode_weight")) options["decode_weight"] = 0;
    bench_.make(options);
  }
  RouterBench bench_;
};

TEST_F(TierAwareRouter, NothingKnownDrawsAmongEquals) {
  EXPECT_EQ(bench_.choices_of_seeds(kName, 1600), (Replicas{0, 1, 2}));
}

TEST_F(TierAwareRouter, MuchInDramBeatsLittleInHbm) {
  // 0: 1600 - 320 = 1280 ms. 1: 1280 x 0.1 + 320 = 448 ms. 2: 1600 ms.
  bench_.hold(0, 0, 0, 20);
  bench_.hold(1, 1, 0, 80);
  make();
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 1);
  EXPECT_EQ(decision.hit_tokens, 1280);
}

TEST_F(TierAwareRouter, WhatIsSlowerToFetchThanToComputeIsComputed) {
  // 2: disk 1600 x 2 + 1 = 3201 ms or computed, 1600 ms. 0: queue 100 + 1600. 1: queue 100 + 1600.
  bench_.hold(2, 2, 0, 100);
  make();
  bench_.occupy(0, 100);
  bench_.occupy(1, 100);
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 2);
  EXPECT_EQ(decision.hit_tokens, 0);
}

TEST_F(TierAwareRouter, EnginesThatFetchAllThatIsThereAreAvoidedForIt) {
  // 2: 3201 ms; 0 and 1: 1700 ms.
  bench_.hold(2, 2, 0, 100);
  make({{"fetches", "all"}});
  bench_.occupy(0, 100);
  bench_.occupy(1, 100);
  EXPECT_NE(bench_.route(1600).replica, 2);
}

TEST_F(TierAwareRouter, APrefixOverTiersIsFetchedAsFarAsItPays) {
  // 0: HBM 320 tokens: 1280 ms; DRAM to 960: 64 + 640 = 704 ms; disk to 1440: 64 + 960 + 160.
  // 1: HBM 880 tokens: 720 ms. 2: HBM 912 tokens: 688 ms once it wins.
  bench_.hold(0, 0, 0, 20);
  bench_.hold(0, 1, 20, 60);
  bench_.hold(0, 2, 60, 90);
  bench_.hold(1, 0, 0, 55);
  make();
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 960);
  bench_.hold(2, 0, 0, 57);
  make();
  EXPECT_EQ(bench_.route(1600).replica, 2);
}

TEST_F(TierAwareRouter, AQueueOutweighsAPrefix) {
  // 0: 1280 ms. 1: 448 ms after a queue of 831 ms: 1279, or of 833: 1281.
  bench_.hold(0, 0, 0, 20);
  bench_.hold(1, 1, 0, 80);
  make();
  bench_.occupy(1, 831);
  EXPECT_EQ(bench_.route(1600).replica, 1);
  make();
  bench_.occupy(1, 833);
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(TierAwareRouter, TheQueueEndsWithTheFirstTokenOrTheRequest) {
  bench_.hold(1, 1, 0, 80);
  make();
  const std::int64_t first = bench_.occupy(1, 3000);
  const std::int64_t second = bench_.occupy(1, 3000);
  bench_.router->first_token(first, Seconds(1));
  EXPECT_NE(bench_.route(1600).replica, 1);
  bench_.router->ended(first, Seconds(2));
  bench_.router->ended(second, Seconds(2));
  EXPECT_EQ(bench_.route(1600).replica, 1);
}

TEST_F(TierAwareRouter, WhatAQueueOwesIsWhatItHasToCompute) {
  // 0 holds 99 of 100 blocks, so that each request owes 16 ms there: the 99th still gets
  // 98 x 16 + 16 = 1584 ms, less than 1600 elsewhere. 8 ms more and the next would get 1608.
  bench_.hold(0, 0, 0, 99);
  make();
  for (int i = 0; i < 99; ++i) ASSERT_EQ(bench_.route(1600).replica, 0) << i;
  bench_.occupy(0, 8);
  EXPECT_NE(bench_.route(1600).replica, 0);
}

TEST_F(TierAwareRouter, WithoutStorageAwarenessOnlyHbmCounts) {
  bench_.hold(0, 0, 0, 20);
  bench_.hold(1, 1, 0, 80);
  make({{"storage_aware", false}});
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 320);
}

TEST_F(TierAwareRouter, WithoutHbmAwarenessBlocksInHbmCountAsOneTierBelow) {
  // Aware: 0: 320 ms, 1: 134.4 + 256 = 390.4 ms. Unaware 0: 128 + 320 = 448 ms.
  bench_.hold(0, 0, 0, 80);
  bench_.hold(1, 1, 0, 84);
  make();
  EXPECT_EQ(bench_.route(1600).replica, 0);
  make({{"hbm_aware", false}});
  EXPECT_EQ(bench_.route(1600).replica, 1);
}

TEST_F(TierAwareRouter, WithoutAnyAwarenessLoadDecides) {
  bench_.hold(0, 0, 0, 80);
  make({{"hbm_aware", false}, {"storage_aware", false}});
  EXPECT_FALSE(bench_.router->needs_events());
  EXPECT_EQ(bench_.router->hashes().block_tokens, 0);
  bench_.occupy(0, 10);
  bench_.occupy(2, 10);
  EXPECT_EQ(bench_.route(1600).replica, 1);
}

TEST_F(TierAwareRouter, ASharedStoreHelpsAllReplicasAlike) {
  // A third tier that all share, 0.05 ms a token: 1280 x 0.05 + 320 = 384 ms anywhere; what 0 has
  // in HBM leaves 800 tokens to fetch: 40 + 320 = 360 ms, but it owes 30 ms.
  bench_.context.fetch_time = [](std::int32_t, std::size_t tier, Bytes bytes) {
    EXPECT_EQ(tier, 2u);
    return bytes / Bandwidth(20e6);
  };
  bench_.hold(-1, 2, 0, 80);
  bench_.hold(0, 0, 0, 30);
  make();
  bench_.occupy(2, 1);
  bench_.occupy(0, 23);
  EXPECT_EQ(bench_.route(1600).replica, 0);  // 383 ms
  make();
  bench_.occupy(2, 1);
  bench_.occupy(0, 25);
  const Decision decision = bench_.route(1600);  // 0: 385 ms, 1: 384 ms, 2: 385 ms
  EXPECT_EQ(decision.replica, 1);
  EXPECT_EQ(decision.hit_tokens, 1280);
}

TEST_F(TierAwareRouter, DecodesThatAPrefillHoldsUpCanWeigh) {
  // 0: 320 ms, held up: 0.1 x 10 decodes x 320 = 320, together 640 ms. 1: 480 ms and no decodes.
  bench_.hold(0, 0, 0, 80);
  bench_.hold(1, 0, 0, 70);
  bench_.views[0].in_flight = 10;
  make();
  EXPECT_EQ(bench_.route(1600).replica, 0);
  make({{"decode_weight", 0.1}});
  EXPECT_EQ(bench_.route(1600).replica, 1);
}

TEST_F(TierAwareRouter, RequestsWithoutAFirstTokenAreNotDecodes) {
  // Ten requests of a token each wait at 0: queue 10 ms, nobody held up: 330 ms; 1: 480 ms.
  bench_.hold(0, 0, 0, 80);
  bench_.hold(1, 0, 0, 70);
  make({{"decode_weight", 0.1}});
  for (int i = 0; i < 10; ++i) bench_.occupy(0, 1);
  bench_.views[0].in_flight = 10;
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(TierAwareRouter, AFullHitComputesItsLastToken) {
  // 1 ms at 0 after a queue of 1,598 ms: better than 1,600 ms elsewhere by one.
  bench_.hold(0, 0, 0, 100);
  make();
  bench_.occupy(0, 1598);
  EXPECT_EQ(bench_.route(1600).replica, 0);
  EXPECT_NE(bench_.route(3200, 5).replica, 0);
}

TEST_F(TierAwareRouter, ReplicasOfDifferentSpeedAreWeighedBySeconds) {
  // 1 computes twice as fast: 800 ms. 0: 49 blocks held, 816 ms; 51 held, 784 ms.
  bench_.context.replicas[1].prefill_tokens_per_s = 2000;
  bench_.hold(0, 0, 0, 49);
  make();
  EXPECT_EQ(bench_.route(1600).replica, 1);
  bench_.hold(0, 0, 49, 51);
  make();
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(TierAwareRouter, ADecodeReplicaIsChosenByRequestsThenTokens) {
  bench_.context.role = Role::kDecode;
  bench_.views[0] = {.in_flight = 2, .in_flight_tokens = 10};
  bench_.views[1] = {.in_flight = 1, .in_flight_tokens = 2000};
  bench_.views[2] = {.in_flight = 1, .in_flight_tokens = 1000};
  make();
  EXPECT_EQ(bench_.route(1600).replica, 2);
}

}  // namespace
}  // namespace kvsim
