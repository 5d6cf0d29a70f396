// Requests whose stage is given up, wherever they are. A prompt and each further token take a step
// of 10 ms.
#include "tests/child.hpp"
#include "tests/frontend_world.hpp"

namespace kvsim {
namespace {

constexpr double kNanosecond = 1e-9;

// Given up now, once, and nothing of it comes later.
void expect_given_up(const FrontendWorld& made, double at, std::int64_t output_tokens) {
  ASSERT_EQ(made.records.size(), 1u);
  EXPECT_EQ(made.record(0).outcome, Outcome::kUnfinished);
  EXPECT_NEAR(made.record(0).ended.count(), at, kNanosecond);
  EXPECT_EQ(made.record(0).output_tokens, output_tokens);
  EXPECT_EQ(made.frontend.in_flight(), 0);
  EXPECT_TRUE(made.told.empty());
}

TEST(Cancel, AnEngineDropsTheRequestAtItsNextBoundary) {
  in_child([] {
    FrontendWorld made({});
    made.ask(0, 50);
    made.at(0.025, [&] {
      made.frontend.cancel(0);
      EXPECT_EQ(made.records.size(), 1u);
      EXPECT_GT(made.used_blocks(0), 0);
    });
    made.at(0.0301, [&] { EXPECT_EQ(made.used_blocks(0), 0); });
    made.world.run();
    expect_given_up(made, 0.025, 2);
  });
}

TEST(Cancel, WhatItsClientHadNoTimeToSeeIsNotCounted) {
  in_child([] {
    FrontendSetup setup;
    setup.api.cpu_per_output_token = Seconds(5e-3);
    FrontendWorld made(setup);
    made.ask(0, 50);
    made.at(0.012, [&] { made.frontend.cancel(0); });  // the first token comes at 0.015
    made.world.run();
    expect_given_up(made, 0.012, 0);
    EXPECT_LT(made.record(0).first_token, Seconds(0));
  });
}

TEST(Cancel, AnotherStageIsNotTouched) {
  in_child([] {
    FrontendWorld made({});
    made.ask(0, 5);
    made.at(0.025, [&] { made.frontend.cancel(1); });
    made.world.run();
    EXPECT_EQ(made.record(0).outcome, Outcome::kCompleted);
  });
}

TEST(Cancel, AHeldRequestIsForgottenByAdmission) {
  in_child([] {
    FrontendSetup setup;
    setup.gate = true;
    FrontendWorld made(setup);
    made.ask(0);
    made.at(0.5, [&] { made.frontend.cancel(0); });
    made.world.run();
    expect_given_up(made, 0.5, 0);
    EXPECT_EQ(made.gate->held(), 0);
  });
}

TEST(Cancel, ARequestAtTheGatewayOrTheApiServerGoesNoFurther) {
  for (const bool gateway : {false, true}) {
    in_child([gateway] {
      FrontendSetup setup;
      (gateway ? setup.dispatcher.gateway.cpu_per_request : setup.api.cpu_per_request) =
          Seconds(0.3);
      FrontendWorld made(setup);
      made.ask(0);
      made.at(0.1, [&] { made.frontend.cancel(0); });
      made.world.run();
      expect_given_up(made, 0.1, 0);
      EXPECT_EQ(made.used_blocks(0), 0);
    });
  }
}

TEST(Cancel, AFailedRequestIsNotSentAgain) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.attempts = 9;
    FrontendWorld made(setup);
    made.ask(0, 50);
    made.at(0.025, [&] {
      made.frontend.cancel(0);
      made.frontend.crash(made.replica(0));
    });
    made.world.run();
    expect_given_up(made, 0.025, 2);
  });
}

TEST(Cancel, ATimeOutThatIsAlreadyDueIsOne) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.client_timeout = Seconds(0.022);
    FrontendWorld made(setup);
    made.ask(0, 50);
    made.at(0.025, [&] { made.frontend.cancel(0); });
    made.world.run();
    ASSERT_EQ(made.records.size(), 1u);
    EXPECT_EQ(made.record(0).outcome, Outcome::kTimedOut);
    EXPECT_NEAR(made.record(0).ended.count(), 0.022, kNanosecond);
  });
}

TEST(Cancel, BothHalvesOfARequestLeave) {
  for (const bool together : {false, true}) {
    for (const double at : {0.005, 0.012, 0.2, 0.36}) {
      in_child([=] {
        FrontendSetup setup;
        setup.prefills = 1;
        setup.frontend.disaggregation.together = together;
        FrontendWorld made(setup);
        made.ask(0, 50);
        made.at(at, [&] { made.frontend.cancel(0); });
        made.world.run();
        ASSERT_EQ(made.records.size(), 1u);
        EXPECT_EQ(made.record(0).outcome, Outcome::kUnfinished);
        EXPECT_EQ(made.frontend.in_flight(), 0);
        EXPECT_EQ(made.used_blocks(0), 0);
        EXPECT_EQ(made.used_blocks(1), 0);
      });
    }
  }
}

}  // namespace
}  // namespace kvsim
