// Redis and Valkey against closed forms: one thread, its copies, and what it evicts.
#include "sim/store/memory_store.hpp"

#include <gtest/gtest.h>

#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr double kCopy = 10e9;  // of MachineOptions, bytes per second

// Two copies in and three out, TCP included.
Json redis(const std::string& policy = "noeviction") {
  return {{"kind", "redis"},          {"maxmemory_bytes", 100 * kMega},
          {"command_s", 1e-5},        {"maxmemory_policy", policy},
          {"copies_in", 1},           {"copies_out", 2},
          {"tcp_copies", 1},          {"allocator", "exact"},
          {"entry_overhead_bytes", 0}};
}

TEST(Redis, AGetTakesItsCommandAndItsCopies) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(redis());
    const auto& put = world.send(*store, 0, Verb::kPut, 1, 10 * kMega);
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    const auto& miss = world.send(*store, 2, Verb::kGet, 2);
    world.world.run();
    EXPECT_NEAR(put.took(), 1e-5 + 2 * 10e6 / kCopy, 1e-12);
    EXPECT_NEAR(get.took(), 1e-5 + 3 * 10e6 / kCopy, 1e-12);
    EXPECT_NEAR(get.took(), store->estimate_get(Bytes(10 * kMega)).count(), 1e-12);
    EXPECT_NEAR(miss.took(), 1e-5, 1e-12);
    EXPECT_NEAR(get.spent(Stage::kServer), get.took(), 1e-12);
  });
}

TEST(Redis, ConnectionsShareTheOneThread) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(redis());
    EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
    for (int i = 0; i < 8; ++i) world.send(*store, 0, Verb::kGet, 1, 0, i);
    world.world.run();
    const double one = 1e-5 + 3 * 10e6 / kCopy;
    for (int i = 0; i < 8; ++i) {
      EXPECT_NEAR(world.sent[i]->ended, 8 * one, 1e-9);
      EXPECT_NEAR(world.sent[i]->spent(Stage::kServer), 8 * one, 1e-9);
    }
    ASSERT_EQ(store->resources().size(), 1U);
    EXPECT_NEAR(store->resources()[0].busy.count(), 8 * one, 1e-9);
  });
}

TEST(Redis, ASmallCommandDoesNotWaitForLargeOnesToEnd) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(redis());
    EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
    for (int i = 0; i < 4; ++i) world.send(*store, 0, Verb::kGet, 1, 0, i);
    const auto& small = world.send(*store, 1e-4, Verb::kExists, 2, 0, 5);
    world.world.run();
    EXPECT_NEAR(small.took(), 5 * 1e-5, 1e-9);  // a fifth of the thread
  });
}

TEST(Redis, SmallCommandsOnOneThreadComeToTheReportedRate) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make({{"kind", "redis"}, {"maxmemory_bytes", 100 * kMega}});
    for (int i = 0; i < 1000; ++i) world.send(*store, 0, Verb::kExists, 1, 0, i);
    world.world.run();
    EXPECT_NEAR(1000 / world.tasks.now().count(), 143e3, 1e3);
  });
}

// calibration/io.csv: 14 to 16 Gbit/s of 32 MiB values through one Redis, SET and GET.
TEST(Redis, LargeValuesComeToTheReportedRateOfOneThread) {
  in_child([] {
    MachineOptions machine;
    machine.cpu = {};
    StoreWorld world(machine);
    const auto store = world.make({{"kind", "redis"}, {"maxmemory_bytes", 1000 * kMega}});
    const auto& put = world.send(*store, 0, Verb::kPut, 1, 32 << 20);
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    world.world.run();
    const double rate = 2.0 * (32 << 20) / (put.took() + get.took());
    EXPECT_GT(rate, 1.7e9);
    EXPECT_LT(rate, 2.1e9);
  });
}

TEST(Redis, RefusesWhenFullWithoutAPolicy) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(redis());
    for (StoreKey key = 0; key < 10; ++key)
      world.send(*store, static_cast<double>(key), Verb::kPut, key, 9 * kMega);
    const auto& full = world.send(*store, 20, Verb::kPut, 100, 20 * kMega);
    const auto& fits = world.send(*store, 21, Verb::kPut, 101, 9 * kMega);
    world.world.run();
    EXPECT_EQ(full.command.answer, Answer::kRefused);
    EXPECT_GT(full.took(), 2 * 20e6 / kCopy) << "it was read before it was refused";
    EXPECT_EQ(fits.command.answer, Answer::kStored);
    EXPECT_EQ(store->use().evicted, Bytes(0));
  });
}

// 1,000 keys of which 100 are read all the time; then as many again are put.
int hot_keys_left(const std::string& policy) {
  const auto left = numbers_of_child([&] {
    StoreWorld world;
    Json config = redis(policy);
    const auto store = world.make(config);
    double at = 0;
    for (StoreKey key = 0; key < 1000; ++key)
      world.send(*store, at += 0.01, Verb::kPut, key, 90'000);
    for (int round = 0; round < 20; ++round)
      for (StoreKey key = 0; key < 100; ++key) world.send(*store, at += 0.01, Verb::kGet, key);
    for (StoreKey key = 1000; key < 1800; ++key)
      world.send(*store, at += 0.001, Verb::kPut, key, 90'000);
    world.world.run();
    double hot = 0;
    for (StoreKey key = 0; key < 100; ++key) hot += store->contains(key) ? 1 : 0;
    EXPECT_GT(store->use().evicted, Bytes(50 * kMega));
    return std::vector<double>{hot};
  });
  return static_cast<int>(left.at(0));
}

TEST(Redis, SampledRecencyAndFrequencyKeepWhatIsReadAndChanceDoesNot) {
  EXPECT_GE(hot_keys_left("allkeys-lru"), 95);
  EXPECT_GE(hot_keys_left("allkeys-lfu"), 95);
  EXPECT_LT(hot_keys_left("allkeys-random"), 80);
}

TEST(Redis, AllocationsTakeWholeSizeClasses) {
  EXPECT_EQ(jemalloc_size(Bytes(32 << 20)), Bytes(32 << 20));
  EXPECT_EQ(jemalloc_size(Bytes((32 << 20) + 1)), Bytes(40 << 20));
  EXPECT_EQ(jemalloc_size(Bytes((40 << 20) + 1)), Bytes(48 << 20));
  EXPECT_EQ(jemalloc_size(Bytes((64 << 20) - 1)), Bytes(64 << 20));
  EXPECT_EQ(jemalloc_size(Bytes(5000)), Bytes(5120));
}

TEST(Redis, AValueOfAPowerOfTwoTakesAQuarterMore) {
  in_child([] {
    StoreWorld world;
    Json config = redis();
    config["maxmemory_bytes"] = 10 * (32LL << 20);
    const auto exact = world.make(config);
    config["allocator"] = "jemalloc";
    const auto classes = world.make(config);
    int exact_count = 0;
    int classes_count = 0;
    for (StoreKey key = 0; key < 10; ++key) {
      exact_count += exact->preload(key, Bytes(32 << 20)) ? 1 : 0;
      classes_count += classes->preload(key, Bytes(32 << 20)) ? 1 : 0;
    }
    EXPECT_EQ(exact_count, 9) << "headers";
    EXPECT_EQ(classes_count, 8);
  });
}

TEST(Valkey, ThreadsForSocketsCopySideBySide) {
  in_child([] {
    StoreWorld world;
    Json config = redis();
    config["kind"] = "valkey";
    config["io_threads"] = 5;
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
    for (int i = 0; i < 4; ++i) world.send(*store, 0, Verb::kGet, 1, 0, i);
    world.world.run();
    // Parsing side by side, one copy each in turn by the main thread, the socket's two side by
    // side.
    const double inner = 0.5e-5 + 10e6 / kCopy;
    const double socket = 2 * 10e6 / kCopy;
    for (int i = 0; i < 4; ++i)
      EXPECT_NEAR(world.sent[i]->ended, 0.5e-5 + (i + 1) * inner + socket, 1e-9);
  });
}

TEST(Redis, AColdRestartForgetsAll) {
  in_child([] {
    StoreWorld world;
    Json config = redis();
    config["outages"] = {{{"at_s", 1}, {"for_s", 1}, {"restart", "cold"}}};
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(kMega)));
    const auto& get = world.send(*store, 3, Verb::kGet, 1);
    world.world.run();
    EXPECT_EQ(get.command.answer, Answer::kMissing);
  });
}

}  // namespace
}  // namespace kvsim
