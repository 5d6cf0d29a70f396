// P/D: KV that one engine computes and another reads. The prompt has ten blocks of 1 MB, a card
// moves 1 GB/s, a step takes 10 ms, preparing a transfer 1.5 ms.
#include "sim/base/errors.hpp"
#include "tests/child.hpp"
#include "tests/pd_world.hpp"

namespace kvsim {
namespace {

constexpr double kNanosecond = 1e-9;
constexpr double kBefore = 0.01 + 0.0015 + 0.01 - 1e-6;  // just before the KV has arrived
constexpr double kAfter = kBefore + 2e-6;

PdOptions plain() {
  PdOptions options;
  options.transfer.setup = Seconds(1e-3);
  options.transfer.descriptor = Seconds(0.5e-3);
  options.transfer.granularity = "block";
  return options;
}

TEST(RemotePrefill, TheTransferBeginsAfterThePrefillAndTheLastTokenIsComputedAgain) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    made.send(ask);
    made.world.run();
    EXPECT_NEAR(ask.prefilled, 0.01, kNanosecond);
    EXPECT_NEAR(ask.first_token, 0.01 + 0.0015 + 0.01 + 0.01, kNanosecond);
    EXPECT_EQ(made.engines[1]->computed_tokens(), 2);
    EXPECT_EQ(ask.answer.record.hit_tokens[1], 160);
    EXPECT_NEAR(ask.answer.record.fetch.count(), 0.0115, kNanosecond);
  });
}

TEST(RemotePrefill, BlocksArePinnedUntilTheyHaveBeenRead) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    made.send(ask);
    made.at(kBefore, [&] { EXPECT_EQ(made.used_blocks(0), 10); });
    made.at(kAfter, [&] { EXPECT_EQ(made.used_blocks(0), 0); });
    made.world.run();
    EXPECT_LT(made.world.now(), Seconds(1));  // the time-out is no event of its own
  });
}

TEST(RemotePrefill, WhoComesAfterTheTimeOutComputesThePromptItself) {
  in_child([] {
    PdOptions options = plain();
    options.transfer.hold_timeout = Seconds(5e-3);
    PdWorld made(options);
    PdWorld::Ask ask;
    ask.handover = 20e-3;
    made.send(ask);
    made.at(15e-3 - 1e-6, [&] { EXPECT_EQ(made.used_blocks(0), 10); });
    made.at(15e-3 + 1e-6, [&] { EXPECT_EQ(made.used_blocks(0), 0); });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.03 + 0.01, kNanosecond);
    EXPECT_EQ(made.engines[1]->computed_tokens(), 161);
    EXPECT_EQ(made.engines[0]->connector()->warnings().size(), 1U);
  });
}

TEST(RemotePrefill, BlocksThatAreBeingReadDoNotTimeOut) {
  in_child([] {
    PdOptions options = plain();
    options.transfer.hold_timeout = Seconds(5e-3);
    PdWorld made(options);
    PdWorld::Ask ask;
    made.send(ask);
    made.at(kBefore, [&] { EXPECT_EQ(made.used_blocks(0), 10); });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.0315, kNanosecond);
  });
}

TEST(RemotePrefill, WhenThePrefillReplicaDiesMeanwhileThePromptIsComputedLocally) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    made.send(ask);
    made.at(0.015, [&] { made.engines[0]->connector()->crashed(); });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.0215 + 0.01, kNanosecond);
    EXPECT_EQ(made.engines[1]->computed_tokens(), 161);
    EXPECT_EQ(ask.answer.record.hit_tokens[1], 0);
    EXPECT_EQ(made.engines[1]->connector()->tiers().front().failed_loads, 1);
  });
}

TEST(RemotePrefill, SentTogetherTheDecodeHalfWaitsForThePrefill) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    ask.together = true;
    made.send(ask);
    made.at(0.01 - 1e-6, [&] { EXPECT_EQ(made.used_blocks(1), 0); });
    made.at(0.01 + 1e-6, [&] { EXPECT_EQ(made.used_blocks(1), 10); });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.0315, kNanosecond);
  });
}

TEST(RemotePrefill, WhatIsCancelledWhileWaitedForIsComputedLocally) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    ask.together = true;
    made.send(ask);
    made.at(0.004, [&] { made.hub.cancel(0, ask.prefill.number); });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.014, kNanosecond);
  });
}

TEST(RemotePrefill, ACancelledPromptGivesItsBlocksBack) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask ask;
    ask.handover = 0.01;
    made.send(ask);
    made.at(0.015, [&] {
      EXPECT_TRUE(made.hub.holds(0, ask.prefill.number));
      made.hub.cancel(0, ask.prefill.number);
      EXPECT_EQ(made.used_blocks(0), 0);
    });
    made.world.run();
    EXPECT_NEAR(ask.first_token, 0.03, kNanosecond);
  });
}

TEST(RemotePrefill, WhatTheDecodeReplicaHasIsNotMoved) {
  in_child([] {
    PdWorld made(plain());
    PdWorld::Ask first;
    PdWorld::Ask again;
    again.at = 1;
    made.send(first);
    made.send(again);
    made.world.run();
    EXPECT_EQ(again.answer.record.hit_tokens[0], 144);
    EXPECT_EQ(again.answer.record.hit_tokens[1], 16);
    EXPECT_NEAR(again.answer.record.fetch.count(), 0.0015 + 0.001, kNanosecond);
  });
}

TEST(RemotePrefill, ReadersOfOnePrefillReplicaShareItsCard) {
  in_child([] {
    PdOptions options = plain();
    options.decodes = 2;
    PdWorld made(options);
    PdWorld::Ask one;
    PdWorld::Ask two;
    two.decode = 2;
    two.content = 1;
    made.send(one);
    made.send(two);
    made.world.run();
    for (const PdWorld::Ask* ask : {&one, &two})
      EXPECT_NEAR(ask->answer.record.fetch.count(), 0.0015 + 0.02, kNanosecond);
  });
}

TEST(RemotePrefill, WithinAMachineKvGoesOverTheGpuLink) {
  in_child([] {
    PdOptions options = plain();
    options.one_machine = true;
    options.gpu_link = Bandwidth(2e9);
    PdWorld made(options);
    PdWorld::Ask ask;
    made.send(ask);
    made.world.run();
    EXPECT_NEAR(ask.answer.record.fetch.count(), 0.0015 + 0.005, kNanosecond);
    EXPECT_TRUE(made.fabric.resources().empty());
    EXPECT_EQ(made.hub.resources().front().bytes, Bytes(10'000'000));
  });
}

TEST(RemotePrefill, StagedThroughDramTheSlowestLegTellsTheTime) {
  in_child([] {
    PdOptions options = plain();
    options.transfer.staged = true;
    options.pcie = Bandwidth(0.5e9);
    PdWorld made(options);
    PdWorld::Ask ask;
    made.send(ask);
    made.world.run();
    EXPECT_NEAR(ask.answer.record.fetch.count(), 0.0015 + 0.02, kNanosecond);
  });
}

TEST(RemotePrefill, TcpMovesAtTheRateOfItsConnections) {
  in_child([] {
    PdOptions options = plain();
    options.fabric.stream = Bandwidth(0.1e9);
    options.transfer.protocol = "tcp";
    options.transfer.streams = 2;
    PdWorld made(options);
    PdWorld::Ask ask;
    made.send(ask);
    made.world.run();
    EXPECT_NEAR(ask.answer.record.fetch.count(), 0.0015 + 0.05, kNanosecond);
  });
}

// Two layers with keys and values: 4 descriptors for a run of blocks; with half the ranks each
// reads from two, block by block.
TEST(RemotePrefill, DescriptorsFollowFromLayoutNeighboursAndRanks) {
  const auto prepared = [](const std::function<void(PdOptions&)>& change) {
    return numbers_of_child([&] {
      PdOptions options = plain();
      options.transfer.granularity = "layer";
      change(options);
      PdWorld made(options);
      PdWorld::Ask ask;
      made.send(ask);
      made.world.run();
      EXPECT_NEAR(ask.answer.record.fetch.count(), made.hub.estimate(0, 1, 160).count(), 1e-9);
      if (testing::Test::HasFailure()) throw std::runtime_error("see above");
      return std::vector<double>{(ask.answer.record.fetch.count() - 0.01 - 1e-3) / 0.5e-3};
    })[0];
  };
  EXPECT_NEAR(prepared([](PdOptions&) {}), 4, 1e-6);
  EXPECT_NEAR(prepared([](PdOptions& o) { o.transfer.granularity = "block"; }), 1, 1e-6);
  EXPECT_NEAR(prepared([](PdOptions& o) { o.transfer.coalesce = false; }), 40, 1e-6);
  EXPECT_NEAR(prepared([](PdOptions& o) { o.prefill_ranks = 2; }), 80, 1e-6);
  EXPECT_NEAR(prepared([](PdOptions& o) { o.decode_ranks = 2; }), 40, 1e-6);
}

TEST(RemotePrefill, APromptAbortedHalfWayIsNotKept) {
  in_child([] {
    PdOptions options = plain();
    options.batched_tokens = 80;
    PdWorld made(options);
    PdWorld::Ask ask;
    made.send(ask);
    made.at(0.005, [&] { made.engines[0]->abort(ask.prefill, Outcome::kTimedOut); });
    made.at(0.011, [&] {
      EXPECT_FALSE(made.hub.holds(0, ask.prefill.number));
      EXPECT_EQ(made.used_blocks(0), 0);
    });
    made.world.run();
  });
}

}  // namespace
}  // namespace kvsim
