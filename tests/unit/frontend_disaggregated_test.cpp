// Prompts computed by one replica, answers by another, to the nanosecond. Steps take 10 ms, handing
// over 0.5 ms, preparing a transfer 1.5 ms, the transfer itself 10 ms. Replica 0 decodes (and 1,
// where there are two), the last ones prefill.
#include "tests/child.hpp"
#include "tests/frontend_world.hpp"

namespace kvsim {
namespace {

constexpr double kNanosecond = 1e-9;
constexpr double kSoon = 1e-6;

FrontendSetup apart() {
  FrontendSetup setup;
  setup.prefills = 1;
  setup.transfer.granularity = "block";
  return setup;
}

TEST(Disaggregated, OneHalfAfterTheOther) {
  in_child([] {
    FrontendWorld made(apart());
    made.ask(0);
    made.at(0.0105 - kSoon, [&] { EXPECT_EQ(made.used_blocks(0), 0); });
    made.at(0.0105 + kSoon, [&] { EXPECT_EQ(made.used_blocks(0), 10); });
    made.at(0.022 - kSoon, [&] { EXPECT_EQ(made.used_blocks(1), 10); });
    made.at(0.022 + kSoon, [&] { EXPECT_EQ(made.used_blocks(1), 0); });
    made.world.run();
    const RequestRecord& record = made.record(0);
    EXPECT_NEAR(record.first_token.count(), 0.010 + 0.0005 + 0.0015 + 0.010 + 0.010, kNanosecond);
    EXPECT_NEAR(record.ended.count(), 0.042, kNanosecond);
    EXPECT_NEAR(record.fetch.count(), 0.0115, kNanosecond);
    EXPECT_NEAR(record.prefill.count(), 0.020, kNanosecond);
    EXPECT_NEAR(record.other.count(), 0.0005, kNanosecond);
    EXPECT_NEAR(record.queue.count(), 0, kNanosecond);
  });
}

TEST(Disaggregated, ThePrefillReplicaMayGiveTheFirstToken) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.frontend.disaggregation.first_token = "prefill";
    FrontendWorld made(setup);
    made.ask(0);
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 0.010, kNanosecond);
    EXPECT_NEAR(made.record(0).ended.count(), 0.032, kNanosecond);
    EXPECT_EQ(made.record(0).output_tokens, 2);
  });
}

// Each API server spends 2 ms on a request and 25 us on a token of its prompt: 4 ms on 160 of them.
void tokenises(const std::string& prompt_to_decode, double api_servers) {
  in_child([&] {
    FrontendSetup setup = apart();
    setup.api.cpu_per_request = Seconds(2e-3);
    setup.api.cpu_per_input_token = Seconds(25e-6);
    setup.frontend.disaggregation.prompt_to_decode = prompt_to_decode;
    FrontendWorld made(setup);
    made.ask(0);
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 0.032 + api_servers, kNanosecond);
    EXPECT_NEAR(made.replica(1).api_server.use().busy.count(), 0.006, kNanosecond);
    EXPECT_NEAR(made.replica(0).api_server.use().busy.count(), api_servers - 0.006, kNanosecond);
  });
}

TEST(Disaggregated, APromptPassedOnAsTextIsTokenisedByBothReplicas) { tokenises("text", 0.012); }

TEST(Disaggregated, APromptPassedOnAsTokenIdsIsTokenisedOnce) { tokenises("token-ids", 0.008); }

TEST(Disaggregated, AnAnswerOfThatOneTokenNeedsNoDecodeReplica) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.frontend.disaggregation.first_token = "prefill";
    FrontendWorld made(setup);
    made.ask(0, 1);
    made.world.run();
    EXPECT_NEAR(made.record(0).ended.count(), 0.010, kNanosecond);
    EXPECT_EQ(made.replica(0).engine->steps(), 0);
  });
}

TEST(Disaggregated, SentTogetherTheDecodeHalfLoadsAsSoonAsThePromptIsComputed) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.frontend.disaggregation.together = true;
    FrontendWorld made(setup);
    made.ask(0);
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 0.010 + 0.0015 + 0.010 + 0.010, kNanosecond);
    EXPECT_NEAR(made.record(0).other.count(), 0, kNanosecond);
  });
}

// Times out at `after`; both replicas are empty by `free`.
void times_out(double after, double free) {
  in_child([&] {
    FrontendSetup setup = apart();
    setup.frontend.client_timeout = Seconds(after);
    setup.transfer.hold_timeout = Seconds(0.1);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(free + kSoon, [&] {
      EXPECT_EQ(made.used_blocks(0) + made.used_blocks(1), 0);
      EXPECT_EQ(made.replica(0).in_flight + made.replica(1).in_flight, 0);
    });
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kTimedOut);
    EXPECT_NEAR(made.record(0).ended.count(), after, kNanosecond);
    EXPECT_LT(made.record(0).first_token, Seconds(0));
  });
}

// The step that completes the prompt is under way. Nobody tells the prefill replica afterwards: its
// blocks stay until it gives them up.
TEST(Disaggregated, AClientMayGiveUpDuringPrefill) { times_out(0.005, 0.110); }

TEST(Disaggregated, AClientMayGiveUpDuringTheHandover) { times_out(0.0102, 0.110); }

TEST(Disaggregated, AClientMayGiveUpDuringTheTransfer) { times_out(0.015, 0.022); }

TEST(Disaggregated, WhenThePrefillReplicaDiesAnotherOneComputesThePrompt) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.prefills = 2;
    setup.frontend.attempts = 2;
    setup.frontend.backoff = Seconds(1);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.005, [&] {
      made.frontend.crash(made.replica(1));
      made.frontend.dispatcher_of(made.replica(1)).set_ready(made.replica(1), false);
    });
    made.world.run();
    // Its engine lets go at the end of the step; a second later all begins anew.
    EXPECT_EQ(made.record(0).outcome, Outcome::kCompleted);
    EXPECT_NEAR(made.record(0).first_token.count(), 0.010 + 1 + 0.032, kNanosecond);
    EXPECT_TRUE(made.frontend.restore(made.replica(1)));
  });
}

TEST(Disaggregated, ADecodeReplicaThatDiesDuringTheTransferGetsItsBlocksBack) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.replicas = 2;
    setup.frontend.attempts = 2;
    setup.frontend.backoff = Seconds(1);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.015, [&] {
      made.frontend.crash(made.replica(0));
      made.frontend.dispatcher_of(made.replica(0)).set_ready(made.replica(0), false);
      EXPECT_FALSE(made.frontend.restore(made.replica(0)));
    });
    made.at(0.022 + kSoon, [&] { EXPECT_TRUE(made.frontend.restore(made.replica(0))); });
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kCompleted);
  });
}

TEST(Disaggregated, BlocksKeptOnAPrefillReplicaThatDiesAreFree) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.frontend.disaggregation.handover = Seconds(0.05);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.02, [&] {
      EXPECT_EQ(made.used_blocks(1), 10);
      made.frontend.crash(made.replica(1));
      EXPECT_EQ(made.used_blocks(1), 0);
    });
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 0.010 + 0.05 + 0.010, kNanosecond);
  });
}

TEST(Disaggregated, ATransferThatDoesNotArriveFailsAndThePromptIsComputedAgain) {
  in_child([] {
    FrontendSetup setup = apart();
    setup.transfer.timeout = Seconds(3);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.005, [&] { made.fabric.partition({0}, true); });
    made.at(5, [&] {
      EXPECT_EQ(made.used_blocks(1), 10);  // nobody has told it
      made.world.stop();
    });
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 0.0105 + 0.0015 + 3 + 0.010, kNanosecond);
  });
}

}  // namespace
}  // namespace kvsim
