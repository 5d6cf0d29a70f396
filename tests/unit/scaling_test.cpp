// Replicas that come up: their start-up takes two seconds.
#include "sim/frontend/scaling.hpp"

#include "tests/child.hpp"
#include "tests/frontend_world.hpp"

namespace kvsim {
namespace {

constexpr double kSoon = 1e-6;

std::unique_ptr<Scaling> scaling_of(FrontendWorld& made) {
  Scaling::Pool pool;
  pool.startup = Seconds(2);
  for (const auto& replica : made.frontend.replicas()) pool.members.push_back(replica.get());
  return std::make_unique<Scaling>(made.world, std::vector{pool}, nullptr, made.frontend);
}

TEST(Scaling, AReplicaServesWhenItsStartUpIsOver) {
  in_child([] {
    FrontendSetup setup;
    setup.frontend.attempts = 100;
    setup.frontend.backoff = Seconds(0.1);
    setup.frontend.backoff_factor = 1;
    FrontendWorld made(setup);
    const auto scaling = scaling_of(made);
    made.frontend.drain(made.replica(0));
    EXPECT_FALSE(made.replica(0).up());
    made.at(1, [&] { scaling->bring_up(made.replica(0)); });
    made.at(3 - kSoon, [&] { EXPECT_FALSE(made.replica(0).up()); });
    made.at(3 + kSoon, [&] { EXPECT_TRUE(made.replica(0).up()); });
    made.ask(2.95);
    made.world.run();
    EXPECT_NEAR(made.record(0).first_token.count(), 3.05 + 0.010, 1e-9);
  });
}

TEST(Scaling, AStartThatWasAbandonedBeginsAnew) {
  in_child([] {
    FrontendWorld made({});
    const auto scaling = scaling_of(made);
    made.frontend.crash(made.replica(0));
    made.at(0, [&] { scaling->bring_up(made.replica(0)); });
    made.at(1, [&] {
      EXPECT_TRUE(scaling->abandon(made.replica(0)));
      EXPECT_FALSE(scaling->abandon(made.replica(0)));
    });
    made.at(1.5, [&] { scaling->bring_up(made.replica(0)); });
    made.at(3.5 - kSoon, [&] { EXPECT_FALSE(made.replica(0).up()); });
    made.at(3.5 + kSoon, [&] { EXPECT_TRUE(made.replica(0).up()); });
    made.world.run();
  });
}

TEST(Scaling, GpusAreRentedUntilADrainedReplicaIsIdle) {
  in_child([] {
    FrontendWorld made({});
    const auto scaling = scaling_of(made);
    made.replica(0).rent(Seconds(0));
    made.ask(0, 5);
    made.at(0.005, [&] { made.frontend.drain(made.replica(0)); });
    made.at(1, [&] {});
    made.world.run();
    EXPECT_NEAR(made.replica(0).rented(made.world.now()).count(), 0.050, 1e-9);
  });
}

}  // namespace
}  // namespace kvsim
