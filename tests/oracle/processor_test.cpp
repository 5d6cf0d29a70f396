// Cores and memory under threads that compute and threads that copy, against closed forms.
#include "sim/store/processor.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "sim/store/host.hpp"

namespace kvsim {
namespace {

// When each of the uses ended, in that order.
class ProcessorTest : public testing::Test {
 protected:
  Processor& with(const Processor::Rates& rates) {
    processor_ = std::make_unique<Processor>(tasks_, "host", rates);
    return *processor_;
  }
  ~ProcessorTest() override { tasks_.clear(); }

  Task compute(double after, double work, int who) {
    co_await tasks_.sleep(Seconds(after));
    co_await processor_->compute(Seconds(work));
    ends_.emplace_back(who, tasks_.now().count());
  }
  Task copy(double after, double traffic, int who) {
    co_await tasks_.sleep(Seconds(after));
    co_await processor_->copy(traffic);
    ends_.emplace_back(who, tasks_.now().count());
  }
  void expect_ends(const std::vector<std::pair<int, double>>& expected) {
    world_.settle();
    ASSERT_EQ(ends_.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(ends_[i].first, expected[i].first) << i;
      EXPECT_NEAR(ends_[i].second, expected[i].second, 1e-12) << i;
    }
  }
  [[nodiscard]] double busy(std::size_t which) const {
    return processor_->use_so_far()[which].busy.count();
  }

  World world_;
  Tasks tasks_{world_};
  std::unique_ptr<Processor> processor_;
  std::vector<std::pair<int, double>> ends_;
};

TEST_F(ProcessorTest, AThreadHasNoMoreThanOneCore) {
  with({.cores = 4, .copy = Bandwidth(10), .memory = Bandwidth(100)});
  tasks_.start(compute(0, 3, 0));
  tasks_.start(copy(0, 50, 1));
  expect_ends({{0, 3}, {1, 5}});
  EXPECT_NEAR(busy(0), 8.0 / 4, 1e-12);
  EXPECT_NEAR(busy(1), 50.0 / 100, 1e-12);
}

TEST_F(ProcessorTest, CopiesAndComputationsShareTheCores) {
  with({.cores = 2, .copy = Bandwidth(10), .memory = Bandwidth(100)});
  for (int i = 0; i < 3; ++i) tasks_.start(copy(0, 10, i));  // half a core each: 5 a second
  tasks_.start(compute(0, 2, 3));                            // 1 done at 2, when it is left alone
  expect_ends({{0, 2}, {1, 2}, {2, 2}, {3, 3}});
}

TEST_F(ProcessorTest, ACopyThatWaitsForMemoryKeepsItsCore) {
  with({.cores = 2, .copy = Bandwidth(10), .memory = Bandwidth(8)});
  tasks_.start(copy(0, 8, 0));  // at 4 a second
  tasks_.start(copy(0, 8, 1));
  expect_ends({{0, 2}, {1, 2}});
  ends_.clear();
  tasks_.start(copy(0, 8, 0));  // 2/3 of a core would do 6.7 a second, memory 4
  tasks_.start(copy(0, 8, 1));
  tasks_.start(compute(0, 2, 2));  // 4/3 done at 2 later
  expect_ends({{0, 4}, {1, 4}, {2, 4 + 2.0 / 3}});
}

TEST_F(ProcessorTest, WhoComesLaterSlowsWhoIsThere) {
  with({.cores = 1, .copy = Bandwidth(10), .memory = Bandwidth(100)});
  tasks_.start(compute(0, 10, 0));  // 5 done at 5, then half speed
  tasks_.start(copy(5, 50, 1));     // 5 a second: ends at 15, as the other
  tasks_.start(compute(20, 1, 2));
  expect_ends({{0, 15}, {1, 15}, {2, 21}});
  EXPECT_NEAR(busy(0), 16, 1e-12);
}

TEST_F(ProcessorTest, EqualOnesEndInTheOrderOfBeginning) {
  with({.cores = 1, .copy = Bandwidth(10), .memory = Bandwidth(100)});
  for (int i = 0; i < 5; ++i) tasks_.start(compute(0, 0.1, i));
  expect_ends({{0, 0.5}, {1, 0.5}, {2, 0.5}, {3, 0.5}, {4, 0.5}});
}

TEST_F(ProcessorTest, WorkIsConservedOverManyUses) {
  with({.cores = 3, .copy = Bandwidth(10), .memory = Bandwidth(20)});
  double work = 0;
  for (int i = 0; i < 200; ++i) {
    const double size = 0.01 * (i % 17 + 1);
    work += size;
    tasks_.start(compute(0.003 * i, size, i));
  }
  world_.settle();
  EXPECT_EQ(ends_.size(), 200U);
  EXPECT_NEAR(busy(0), work / 3, 1e-9);
}

TEST(Host, FreshPagesCostTimeOfACore) {
  World world;
  Tasks tasks(world);
  Host host(tasks, "host", {.cores = 1, .copy = Bandwidth(1e9), .fresh = Bandwidth(2e9)}, Bytes(0));
  EXPECT_EQ(host.touch_time(Bytes(1'000'000'000)), Seconds(0.5));
  double end = 0;
  const auto fill = [&]() -> Task {
    co_await host.touch(Bytes(1'000'000'000));
    co_await host.copy(Bytes(1'000'000'000), 1);
    end = tasks.now().count();
  };
  tasks.start(fill());
  world.settle();
  EXPECT_NEAR(end, 1.5, 1e-12);
}

}  // namespace
}  // namespace kvsim
