// Mooncake's Conductor against hand-computed rows. A token computed is a millisecond, a token
// copied a tenth of one; the prompt has 1,600 tokens, 100 blocks.
#include <gtest/gtest.h>

#include "tests/unit/router_bench.hpp"

namespace kvsim {
namespace {

const std::string kName = "mooncake-conductor";
using Replicas = std::set<std::int32_t>;

class MooncakeRouter : public testing::Test {
 protected:
  MooncakeRouter() : bench_(3) {
    bench_.context.transfer_time = [](std::int32_t, std::int32_t, Bytes bytes) {
      return bytes / Bandwidth(10e6);
    };
  }
  void make(Json options = Json::object()) {
    options["kind"] = kName;
    bench_.make(options);
  }
  // Replica 0 holds 1,280 tokens of the prompt, replica 1 holds 800, replica 2 nothing.
  void hold_prefixes() {
    bench_.hold(0, 0, 0, 80);
    bench_.hold(1, 0, 0, 50);
  }
  RouterBench bench_;
};

TEST_F(MooncakeRouter, NothingKnownDrawsAmongEquals) {
  // 1.6 s of prefill everywhere.
  EXPECT_EQ(bench_.choices_of_seeds(kName, 1600), (Replicas{0, 1, 2}));
}

TEST_F(MooncakeRouter, TheHolderOfTheLongestPrefixWinsWhileItIsIdle) {
  // 0: 320 ms. 1: 1280 / 800 = 1.6 <= 2, so its own prefix: 800 ms. 2: copy 128 + 320 = 448 ms.
  hold_prefixes();
  make();
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 1280);
  EXPECT_EQ(decision.copy_from, -1);
  EXPECT_EQ(decision.copy_tokens, 0);
}

TEST_F(MooncakeRouter, ABusyHolderGivesItsPrefixToAnother) {
  // 0: queue 200 + 320 = 520 ms. 1: 800 ms. 2: copy 1280 x 0.1 = 128 + 320 = 448 ms.
  hold_prefixes();
  make();
  bench_.occupy(0, 200);
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 2);
  EXPECT_EQ(decision.hit_tokens, 0);
  EXPECT_EQ(decision.copy_from, 0);
  EXPECT_EQ(decision.copy_tokens, 1280);
}

TEST_F(MooncakeRouter, ALowThresholdCopiesToWhomLittleIsMissing) {
  // 0: 520 ms. 1: 1.6 > 1.5, copy 480 x 0.1 = 48 + 320 = 368 ms. 2: 448 ms.
  hold_prefixes();
  make({{"balancing_threshold", 1.5}});
  bench_.occupy(0, 200);
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 1);
  EXPECT_EQ(decision.hit_tokens, 800);
  EXPECT_EQ(decision.copy_tokens, 480);
}

TEST_F(MooncakeRouter, APrefixExactlyAtTheThresholdIsNotCopied) {
  // 0: queue 2000 + 320. 1: holds 640, 1280 / 640 = 2 is not above 2: 960 ms. 2 is not ready.
  bench_.hold(0, 0, 0, 80);
  bench_.hold(1, 0, 0, 40);
  make();
  bench_.occupy(0, 2000);
  bench_.views[2].ready = false;
  const Decision decision = bench_.route(1600);
  EXPECT_EQ(decision.replica, 1);
  EXPECT_EQ(decision.copy_from, -1);
}

TEST_F(MooncakeRouter, PrefixesOfLowerTiersCount) {
  // 0 holds 30 blocks in HBM, then 50 in DRAM: 320 ms again.
  bench_.hold(0, 0, 0, 30);
  bench_.hold(0, 1, 30, 80);
  make();
  EXPECT_EQ(bench_.route(1600).hit_tokens, 1280);
}

// As above replica 2 gets a copy, which ends at 0.128 s. Then, its prefill done, 1 not ready and
// 0 at 520 ms: two copies at once take 2 x 128 + 320 = 576 ms on replica 2, one alone 448 ms.
class MooncakeCopies : public MooncakeRouter {
 protected:
  std::int32_t next_at(Seconds now) {
    hold_prefixes();
    make();
    bench_.views[1].ready = false;
    bench_.occupy(0, 200);
    EXPECT_EQ(bench_.route(1600).replica, 2);
    bench_.router->first_token(bench_.number, Seconds(0.1));
    bench_.now = now;
    return bench_.route(1600).replica;
  }
};

TEST_F(MooncakeCopies, OneUnderWaySlowsTheNextFromTheSameHolder) {
  EXPECT_EQ(next_at(Seconds(0.1279)), 0);
}

TEST_F(MooncakeCopies, OneThatHasEndedDoesNot) { EXPECT_EQ(next_at(Seconds(0.1281)), 2); }

TEST_F(MooncakeRouter, TheQueueEndsWithTheFirstTokenOrTheRequest) {
  hold_prefixes();
  make();
  const std::int64_t first = bench_.occupy(0, 200);
  bench_.router->first_token(first, Seconds(1));
  bench_.router->ended(first, Seconds(2));
  const std::int64_t second = bench_.occupy(0, 200);
  bench_.router->ended(second, Seconds(3));
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(MooncakeRouter, WithoutKnownWiresNothingIsCopied) {
  // 0: queue 200 + 320 = 520 ms, 1: 800 ms, 2: 1600 ms.
  hold_prefixes();
  bench_.context.transfer_time = nullptr;
  make();
  bench_.occupy(0, 200);
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(MooncakeRouter, AFirstTokenLaterThanItsObjectiveIsRefusedEarly) {
  // Best: 320 ms.
  hold_prefixes();
  make({{"ttft_slo_s", 0.319}});
  EXPECT_EQ(bench_.route(1600).replica, Decision::kRefuse);
  make({{"ttft_slo_s", 0.32}});
  EXPECT_EQ(bench_.route(1600).replica, 0);
}

TEST_F(MooncakeRouter, ARefusedRequestOwesNothing) {
  // 100 tokens: 0.1 s < 0.15 s, though requests of 1,600 tokens were refused before.
  make({{"ttft_slo_s", 0.15}});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(bench_.route(1600).replica, Decision::kRefuse);
  EXPECT_NE(bench_.route(100).replica, Decision::kRefuse);
}

TEST_F(MooncakeRouter, AFullHitStillComputesItsLastToken) {
  bench_.hold(0, 0, 0, 100);
  std::set<std::pair<std::int64_t, std::int64_t>> asked;
  bench_.context.prefill_time = [&](std::int32_t, std::int64_t cached, std::int64_t computed) {
    asked.insert({cached, computed});
    return Seconds(static_cast<double>(computed));
  };
  bench_.context.transfer_time = nullptr;
  make();
  EXPECT_EQ(bench_.route(1600).replica, 0);
  EXPECT_EQ(asked, (std::set<std::pair<std::int64_t, std::int64_t>>{{0, 1600}, {1599, 1}}));
}

TEST_F(MooncakeRouter, ADecodeReplicaIsChosenByWhatRunsThereOrWasSent) {
  // The larger of both: 0: max(3, 1) = 3, 1: max(0, 4) = 4, 2: max(2, 2) = 2.
  bench_.context.role = Role::kDecode;
  bench_.views[0] = {.running = 2, .waiting = 1, .in_flight = 1};
  bench_.views[1] = {.in_flight = 4};
  bench_.views[2] = {.running = 2, .in_flight = 2};
  make();
  EXPECT_EQ(bench_.route(1600).replica, 2);
}

TEST_F(MooncakeRouter, ADecodeStepIsPredictedFromRequestsAndTheirTokens) {
  // With the request in it: 0: 10 + 1 x 3 + 0.001 x (30000 + 1600) = 44.6 ms;
  // 1: 10 + 1 x 11 + 0.001 x (1000 + 1600) = 23.6 ms; 2: 10 + 1 x 21 + 1.6 = 32.6 ms.
  bench_.context.role = Role::kDecode;
  bench_.views[0] = {.in_flight = 2, .in_flight_tokens = 30'000};
  bench_.views[1] = {.in_flight = 10, .in_flight_tokens = 1000};
  bench_.views[2] = {.in_flight = 20};
  Json options = {{"decode_step_s", 0.01},
                  {"decode_step_per_request_s", 0.001},
                  {"decode_step_per_token_s", 0.000001}};
  make(options);
  EXPECT_EQ(bench_.route(1600).replica, 1);
  options["tbt_slo_s"] = 0.0235;
  make(options);
  EXPECT_EQ(bench_.route(1600).replica, Decision::kRefuse);
  options["tbt_slo_s"] = 0.0237;
  make(options);
  EXPECT_EQ(bench_.route(1600).replica, 1);
}

}  // namespace
}  // namespace kvsim
