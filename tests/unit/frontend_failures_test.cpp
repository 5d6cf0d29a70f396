// Retries, crashes, drains, holds and time-outs of whole requests. A prompt and each further token
// take a step of 10 ms.
#include "tests/child.hpp"
#include "tests/frontend_world.hpp"

namespace kvsim {
namespace {

constexpr double kNanosecond = 1e-9;
constexpr double kSoon = 1e-6;

void down(FrontendWorld& made, std::size_t index) {
  made.frontend.crash(made.replica(index));
  made.frontend.dispatcher_of(made.replica(index)).set_ready(made.replica(index), false);
}

TEST(Failures, ARequestIsSentAgainAfterLongerAndLongerWaits) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.attempts = 4;
    setup.frontend.backoff = Seconds(1);
    setup.frontend.backoff_factor = 3;
    FrontendWorld made(setup);
    down(made, 0);
    made.ask(0);
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kFailed);
    EXPECT_NEAR(made.record(0).ended.count(), 1 + 3 + 9, kNanosecond);
  });
}

TEST(Failures, ADeadReplicaGivesOutNoToken) {
  in_child([] {
    FrontendWorld made({});
    made.ask(0);
    made.ask(0, 1);  // whose last token is in the step that is lost
    made.at(0.005, [&] { down(made, 0); });
    made.world.run();
    for (const std::int64_t id : {0, 1}) {
      EXPECT_EQ(made.record(id).outcome, Outcome::kFailed);
      EXPECT_LT(made.record(id).first_token, Seconds(0));
      EXPECT_NEAR(made.record(id).ended.count(), 0.010, kNanosecond);
    }
    EXPECT_TRUE(made.frontend.restore(made.replica(0)));
  });
}

TEST(Failures, UntilItIsNoticedADeadReplicaRefusesAtOnce) {
  in_child([] {
    FrontendSetup setup;
    setup.replicas = 2;
    setup.frontend.attempts = 9;
    setup.frontend.backoff = Seconds(0.4);
    setup.frontend.backoff_factor = 1;
    FrontendWorld made(setup);
    made.at(0, [&] { made.frontend.crash(made.replica(0)); });
    made.at(
        1, [&] { made.frontend.dispatcher_of(made.replica(0)).set_ready(made.replica(0), false); });
    made.ask(0.1);  // again at 0.5 and 0.9, and at 1.3, when its router knows
    made.world.run();
    EXPECT_EQ(made.record(0).replica, 1);
    EXPECT_NEAR(made.record(0).first_token.count(), 1.3 + 0.010, kNanosecond);
  });
}

TEST(Failures, ADrainedReplicaFinishesWhatItHas) {
  in_child([] {
    FrontendSetup setup;
    setup.replicas = 2;
    FrontendWorld made(setup);
    double idle = -1;
    made.frontend.set_idle([&](Replica& replica) {
      EXPECT_EQ(replica.index, 0);
      idle = made.world.now().count();
    });
    made.ask(0, 5);
    made.at(0.005, [&] { made.frontend.drain(made.replica(0)); });
    made.ask(0.02);
    made.world.run();
    EXPECT_NEAR(idle, 0.050, kNanosecond);
    EXPECT_EQ(made.record(0).outcome, Outcome::kCompleted);
    EXPECT_EQ(made.record(1).replica, 1);
  });
}

TEST(Failures, ADrainingReplicaThatDiesIsIdle) {
  in_child([] {
    FrontendWorld made({});
    int idle = 0;
    made.frontend.set_idle([&](Replica&) { ++idle; });
    made.ask(0, 5);
    made.at(0.005, [&] { made.frontend.drain(made.replica(0)); });
    made.at(0.015, [&] { made.frontend.crash(made.replica(0)); });
    made.world.run();
    EXPECT_EQ(idle, 1);
    EXPECT_EQ(made.record(0).outcome, Outcome::kFailed);
  });
}

TEST(Failures, GatewayProcessesServeOneRequestAfterTheOther) {
  in_child([] {
    FrontendSetup setup;
    setup.dispatcher.gateway.cpu_per_request = Seconds(0.004);
    setup.dispatcher.gateway.cpu_per_input_token = Seconds(0.1e-3);
    setup.dispatcher.gateway.latency = Seconds(0.003);
    FrontendWorld made(setup);
    made.ask(0, 1);
    made.ask(0, 1);
    made.world.run();
    // 20 ms each, 3 ms on the way; the second one arrives when the replica is idle again.
    EXPECT_NEAR(made.record(0).first_token.count(), 0.023 + 0.010, kNanosecond);
    EXPECT_NEAR(made.record(1).first_token.count(), 0.043 + 0.010, kNanosecond);
    EXPECT_NEAR(made.record(1).other.count(), 0.043, kNanosecond);
  });
}

FrontendSetup gated() {
  FrontendSetup setup;
  setup.gate = true;
  return setup;
}

TEST(Failures, HeldRequestsGoOnInTheirOrder) {
  in_child([] {
    FrontendWorld made(gated());
    made.gate->open(1);
    for (int i = 0; i < 3; ++i) made.ask(0.001 * i, 1);
    made.at(0.005, [&] { made.gate->open(2); });  // noticed when the first one ends
    made.world.run();
    EXPECT_NEAR(made.record(0).ended.count(), 0.010, kNanosecond);
    EXPECT_NEAR(made.record(1).ended.count(), 0.020, kNanosecond);
    EXPECT_NEAR(made.record(2).ended.count(), 0.020, kNanosecond);
    EXPECT_EQ(made.records[1].id, 1);
  });
}

TEST(Failures, AClientMayGiveUpWhileItsRequestIsHeld) {
  in_child([] {
    FrontendSetup setup = gated();
    setup.frontend.client_timeout = Seconds(0.1);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.1 - kSoon, [&] { EXPECT_EQ(made.gate->held(), 1); });
    made.at(0.1 + kSoon, [&] { EXPECT_EQ(made.gate->held(), 0); });
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kTimedOut);
    EXPECT_NEAR(made.told[0], 0.1, kNanosecond);
  });
}

TEST(Failures, HeldRequestsFailWhenNoReplicaIsLeft) {
  in_child([] {
    FrontendWorld made(gated());
    made.ask(0);
    made.at(0.5, [&] { down(made, 0); });
    made.ask(0.7);
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kFailed);
    EXPECT_NEAR(made.record(0).ended.count(), 0.5, kNanosecond);
    EXPECT_EQ(made.record(1).outcome, Outcome::kFailed);
    EXPECT_NEAR(made.record(1).ended.count(), 0.7, kNanosecond);
  });
}

TEST(Failures, AClientThatWaitsToTryAgainGivesUpAtItsTime) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.attempts = 5;
    setup.frontend.backoff = Seconds(10);
    setup.frontend.client_timeout = Seconds(2);
    FrontendWorld made(setup);
    down(made, 0);
    made.ask(0);
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kTimedOut);
    EXPECT_NEAR(made.record(0).ended.count(), 2, kNanosecond);
    EXPECT_NEAR(made.told[0], 2, kNanosecond);
  });
}

TEST(Failures, WhoGaveUpBeforeACrashWasHeardOfHasTimedOut) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.attempts = 5;
    setup.frontend.client_timeout = Seconds(0.008);
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.005, [&] { down(made, 0); });
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kTimedOut);
    EXPECT_NEAR(made.record(0).ended.count(), 0.008, kNanosecond);
  });
}

}  // namespace
}  // namespace kvsim
