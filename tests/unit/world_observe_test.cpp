// Looking at a world without being part of it.
#include <gtest/gtest.h>

#include <vector>

#include "sim/des/world.hpp"

namespace kvsim {
namespace {

class Observed : public ::testing::Test {
 protected:
  void happen(Seconds now) { events_.push_back(now.count()); }
  void set(Timer& timer, double at) { timer.set(Seconds(at)); }

  World world_;
  std::vector<double> events_;
  std::vector<double> looks_;
  std::vector<std::size_t> seen_;  // events before each look
  Timer first_{world_, Priority::kEngine, call<&Observed::happen>(), this};
  Timer second_{world_, Priority::kObserve, call<&Observed::happen>(), this};
};

TEST_F(Observed, LooksComeBeforeWhatHappensAtTheirInstant) {
  world_.observe(Seconds(0.5), [this](Seconds now) {
    EXPECT_EQ(world_.now(), now);
    looks_.push_back(now.count());
    seen_.push_back(events_.size());
  });
  set(first_, 0.5);
  set(second_, 1.2);
  world_.settle();
  EXPECT_EQ(looks_, (std::vector<double>{0.5, 1.0}));
  EXPECT_EQ(seen_, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(events_, (std::vector<double>{0.5, 1.2}));
}

TEST_F(Observed, LooksDoNotKeepTheWorldRunning) {
  world_.observe(Seconds(1), [this](Seconds now) { looks_.push_back(now.count()); });
  set(first_, 2.5);
  world_.settle();
  EXPECT_EQ(looks_, (std::vector<double>{1, 2}));
  EXPECT_EQ(world_.now(), Seconds(2.5));
}

}  // namespace
}  // namespace kvsim
