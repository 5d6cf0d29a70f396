// Tasks, threads, signals and shared servers against closed forms.
#include <gtest/gtest.h>

#include "sim/des/shared_server.hpp"
#include "sim/des/waiting.hpp"
#include "tests/child.hpp"

namespace kvsim {
namespace {

struct Log {
  std::vector<std::pair<int, double>> ends;
  void end(int who, Seconds at) { ends.emplace_back(who, at.count()); }
};

Task use(Tasks& tasks, SharedServer& server, double after, double work, double most, int who,
         Log& log) {
  co_await tasks.sleep(Seconds(after));
  co_await server.use(work, most);
  log.end(who, tasks.now());
}

TEST(SharedServer, EqualUsesEndTogetherAndCapsLeaveTheRestToOthers) {
  in_child([] {
    World world;
    Tasks tasks(world);
    SharedServer disk(tasks, "disk", "disk", 100);
    Log log;
    tasks.start(use(tasks, disk, 0, 100, 0, 0, log));   // 75 a second beside the capped one
    tasks.start(use(tasks, disk, 0, 50, 25, 1, log));   // 25 a second: ends at 2
    tasks.start(use(tasks, disk, 10, 100, 0, 2, log));  // two equal ones: both end at 12
    tasks.start(use(tasks, disk, 10, 100, 0, 3, log));
    world.run();
    ASSERT_EQ(log.ends.size(), 4U);
    EXPECT_EQ(log.ends[0].first, 0);
    EXPECT_NEAR(log.ends[0].second, 100.0 / 75, 1e-12);
    EXPECT_EQ(log.ends[1].first, 1);
    EXPECT_NEAR(log.ends[1].second, 2, 1e-12);
    EXPECT_NEAR(log.ends[2].second, 12, 1e-12);
    EXPECT_NEAR(log.ends[3].second, 12, 1e-12);
    EXPECT_NEAR(disk.use_so_far().busy.count(), 350.0 / 100, 1e-12);
  });
}

TEST(World, WithoutLinksSettlesAsOftenAsWanted) {
  for (int i = 0; i < 2; ++i) {
    World world;
    Tasks tasks(world);
    SharedServer disk(tasks, "disk", "disk", 100);
    Log log;
    for (int j = 1; j <= 2; ++j) {
      tasks.start(use(tasks, disk, 1, 50, 0, j, log));
      world.settle();
      EXPECT_NEAR(world.now().count(), 1.5 * j, 1e-12);
      EXPECT_EQ(log.ends.back().first, j);
    }
  }
}

TEST(SharedServer, ANewUseSlowsTheOneUnderWay) {
  in_child([] {
    World world;
    Tasks tasks(world);
    SharedServer disk(tasks, "disk", "disk", 10);
    Log log;
    tasks.start(use(tasks, disk, 0, 100, 0, 0, log));  // 50 done at 5, then half speed: 5 + 10
    tasks.start(use(tasks, disk, 5, 100, 0, 1, log));  // 50 done at 15, then alone: 20
    world.run();
    ASSERT_EQ(log.ends.size(), 2U);
    EXPECT_NEAR(log.ends[0].second, 15, 1e-12);
    EXPECT_NEAR(log.ends[1].second, 20, 1e-12);
  });
}

Task hold(Tasks& tasks, Threads& threads, double time, int who, Log& log) {
  const Hold hold = co_await threads.acquire();
  co_await tasks.sleep(Seconds(time));
  log.end(who, tasks.now());
}

TEST(Threads, ServeFirstComeFirstServed) {
  in_child([] {
    World world;
    Tasks tasks(world);
    Threads threads(tasks, "worker", "cpu", 2);
    Log log;
    for (int i = 0; i < 5; ++i) tasks.start(hold(tasks, threads, i == 0 ? 3 : 1, i, log));
    world.run();
    const std::vector<std::pair<int, double>> expected = {{1, 1}, {2, 2}, {0, 3}, {3, 3}, {4, 4}};
    EXPECT_EQ(log.ends, expected);
    EXPECT_NEAR(threads.use().busy.count(), 7, 1e-12);
    EXPECT_EQ(threads.free(), 2);
  });
}

Task await(Tasks& tasks, Signal& signal, double most, int who, Log& log) {
  const bool fired = co_await signal.wait(Seconds(most));
  log.end(fired ? who : -who, tasks.now());
}

Task fire_at(Tasks& tasks, Signal& signal, double at) {
  co_await tasks.sleep(Seconds(at));
  signal.fire();
}

TEST(Signal, WakesWhoStillWaitsAndNobodyWhoGaveUp) {
  in_child([] {
    World world;
    Tasks tasks(world);
    Signal signal(tasks);
    Log log;
    tasks.start(await(tasks, signal, 1, 1, log));
    tasks.start(await(tasks, signal, 5, 2, log));
    tasks.start(fire_at(tasks, signal, 2));
    world.run();
    const std::vector<std::pair<int, double>> expected = {{-1, 1}, {2, 2}};
    EXPECT_EQ(log.ends, expected);
  });
}

Task fail(Tasks& tasks) {
  co_await tasks.sleep(Seconds(1));
  throw std::runtime_error("lost");
}
Task outer(Tasks& tasks) { co_await fail(tasks); }

TEST(Tasks, AnExceptionReachesWhoRunsTheWorld) {
  in_child([] {
    World world;
    Tasks tasks(world);
    tasks.start(outer(tasks));
    EXPECT_THROW(world.run(), std::runtime_error);
  });
}

TEST(Tasks, WhatHasNotEndedIsDroppedWithItsHolds) {
  in_child([] {
    World world;
    Tasks tasks(world);
    Threads threads(tasks, "worker", "cpu", 1);
    Signal never(tasks);
    Log log;
    tasks.start(await(tasks, never, -1, 1, log));
    tasks.start(hold(tasks, threads, 1e9, 1, log));
    tasks.start(hold(tasks, threads, 1, 2, log));
    EXPECT_EQ(tasks.running(), 3U);
    tasks.clear();
    EXPECT_EQ(tasks.running(), 0U);
  });
}

}  // namespace
}  // namespace kvsim
