// Mooncake's store: calls, leases, eviction that comes after a failure, and its disk
// (spec/mooncake.md section 6: what a naive simulator gets wrong).
#include <gtest/gtest.h>

#include "sim/base/rng.hpp"
#include "sim/store/mooncake_wire.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr double kCall = 1.2e-4;  // latency and CPU

// 100 MB; calls of 100 us and 20 us of CPU, RDMA.
Json mooncake() {
  return {{"kind", "mooncake"},      {"segments", 1},      {"segment_bytes", 100 * kMega},
          {"call_s", 1e-4},          {"call_cpu_s", 2e-5}, {"protocol", "rdma"},
          {"allocation_overhead", 0}};
}

TEST(Mooncake, APutIsTwoCallsAndAGetIsOne) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(mooncake());
    const auto& put = world.send(*store, 0, Verb::kPut, 1, 10 * kMega);
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    world.world.run();
    EXPECT_NEAR(put.took(), 2 * kCall, 1e-9);
    EXPECT_NEAR(get.took(), kCall, 1e-9);
  });
}

TEST(Mooncake, TcpCostsTheHolderCopies) {
  in_child([] {
    StoreWorld world;
    Json config = mooncake();
    config["protocol"] = "tcp";
    config["tcp_copies"] = 2;
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    world.world.run();
    EXPECT_NEAR(get.took(), kCall + 2 * 10e6 / 10e9, 1e-9);
  });
}

TEST(Mooncake, AFullMemoryFailsThePutAndEvictsBehindItsBack) {
  in_child([] {
    StoreWorld world;
    Json config = mooncake();
    config["high_watermark"] = 1;
    config["lease_s"] = 0;
    const auto store = world.make(config);
    for (StoreKey key = 1; key <= 99; ++key) EXPECT_TRUE(store->preload(key, Bytes(kMega)));
    const auto& full = world.send(*store, 1, Verb::kPut, 200, 2 * kMega);
    const auto& again = world.send(*store, 1.005, Verb::kPut, 200, 2 * kMega);
    const auto& later = world.send(*store, 1.02, Verb::kPut, 200, 2 * kMega);
    world.world.run();
    EXPECT_EQ(full.command.answer, Answer::kRefused);
    EXPECT_EQ(again.command.answer, Answer::kRefused) << "the eviction thread has not looked yet";
    EXPECT_EQ(later.command.answer, Answer::kStored);
    EXPECT_EQ(store->use().evicted, Bytes(5 * kMega)) << "5 % of 99 objects";
    EXPECT_FALSE(store->contains(1));
    EXPECT_FALSE(store->contains(5));
    EXPECT_TRUE(store->contains(6));
  });
}

TEST(Mooncake, TheWatermarkEvictsAShareOfTheObjectsBeforeMemoryIsFull) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(mooncake());
    for (StoreKey key = 1; key <= 89; ++key) EXPECT_TRUE(store->preload(key, Bytes(kMega)));
    const auto& put = world.send(*store, 1, Verb::kPut, 100, kMega);
    world.world.run();
    EXPECT_EQ(put.command.answer, Answer::kStored);
    EXPECT_EQ(store->use().evicted, Bytes(5 * kMega)) << "5 % of 90 objects, rounded up";
    EXPECT_TRUE(store->contains(100));
  });
}

TEST(Mooncake, ALeaseHoldsAnObjectForTenSeconds) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(mooncake());
    for (StoreKey key = 1; key <= 89; ++key) EXPECT_TRUE(store->preload(key, Bytes(kMega)));
    // All are read: none can go until the leases end.
    for (StoreKey key = 1; key <= 89; ++key) world.send(*store, 1, Verb::kGet, key);
    for (int i = 0; i < 11; ++i) world.send(*store, 2 + 0.1 * i, Verb::kPut, 200 + i, kMega);
    const auto& full = world.send(*store, 9, Verb::kPut, 300, 12 * kMega);
    const auto& before = world.send(*store, 11 - 1e-3, Verb::kExists, 89);
    const auto& removed = world.send(*store, 10.5, Verb::kRemove, 1);
    const auto& after = world.send(*store, 25, Verb::kPut, 301, 10 * kMega);
    world.world.run();
    EXPECT_EQ(full.command.answer, Answer::kRefused);
    EXPECT_EQ(before.command.answer, Answer::kFound);
    EXPECT_EQ(removed.command.answer, Answer::kRefused) << "nor may it be removed";
    EXPECT_EQ(after.command.answer, Answer::kStored);
  });
}

TEST(Mooncake, ReplicasTakeMemoryInDifferentSegments) {
  in_child([] {
    StoreWorld world;
    Json config = mooncake();
    config["segments"] = 2;
    config["replicas"] = 2;
    const auto store = world.make(config);
    int stored = 0;
    for (StoreKey key = 1; key <= 30; ++key) stored += store->preload(key, Bytes(10 * kMega));
    EXPECT_EQ(stored, 10) << "200 MB for 10 MB twice";
    config["replicas"] = 3;
    EXPECT_THROW((void)world.make(config), ConfigError);
  });
}

TEST(Mooncake, AnObjectThatIsThereStaysAsItIs) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(mooncake());
    world.send(*store, 0, Verb::kPut, 1, 2 * kMega);
    world.send(*store, 1, Verb::kPut, 1, 3 * kMega);
    const auto& get = world.send(*store, 2, Verb::kGet, 1);
    world.world.run();
    EXPECT_EQ(get.command.bytes, Bytes(2 * kMega));
  });
}

TEST(Mooncake, EvictedObjectsGoToTheDiskAndAreReadFromThere) {
  in_child([] {
    StoreWorld world;
    Json config = mooncake();
    config["disk"] = "ssd";
    const auto store = world.make(config);
    for (StoreKey key = 1; key <= 89; ++key) EXPECT_TRUE(store->preload(key, Bytes(kMega)));
    world.send(*store, 1, Verb::kPut, 100, kMega);
    const auto& disk = world.send(*store, 5, Verb::kGet, 1);
    const auto& again = world.send(*store, 6, Verb::kGet, 1);
    const auto& memory = world.send(*store, 7, Verb::kGet, 100);
    world.world.run();
    EXPECT_EQ(store->use().evicted, Bytes(0));
    EXPECT_EQ(store->use().live, Bytes(90 * kMega));
    const double device = 1e-4 + 1e6 / 1e9;
    EXPECT_NEAR(disk.took(), kCall + 2 * kCall + device, 1e-9) << "two more calls";
    EXPECT_NEAR(disk.spent(Stage::kDisk), device, 1e-9);
    EXPECT_NEAR(again.took(), disk.took(), 1e-9) << "it does not come back to memory";
    EXPECT_NEAR(memory.took(), kCall, 1e-9);
    EXPECT_EQ(world.disk->use().written, Bytes(5 * kMega));
  });
}

// 5 MB take 5 s to write; the process dies meanwhile, and is back before the disk is done.
TEST(Mooncake, ARestartGivesRoomOnDiskBackOnce) {
  in_child([] {
    StoreWorld world({.disk_rate = Bandwidth(1e6)});
    Json config = mooncake();
    config["disk"] = "ssd";
    config["outages"] = {{{"at_s", 2}, {"for_s", 1}}};
    const auto store = world.make(config);
    for (StoreKey key = 1; key <= 89; ++key) EXPECT_TRUE(store->preload(key, Bytes(kMega)));
    world.send(*store, 1, Verb::kPut, 100, kMega);
    const auto& get = world.send(*store, 4, Verb::kGet, 1);
    world.world.run();
    EXPECT_EQ(get.command.answer, Answer::kMissing);
    EXPECT_EQ(world.disk->use().used, Bytes(0));
  });
}

TEST(Mooncake, SlicesUseAllNicsUpToTheHostsLimit) {
  EXPECT_NEAR(mooncake_rate(1, Bandwidth(25e9)).count(), 21.25e9, 1);
  EXPECT_NEAR(mooncake_rate(4, Bandwidth(25e9)).count() / 87e9, 1, 0.05) << "measured: 87 GB/s";
  EXPECT_NEAR(mooncake_rate(8, Bandwidth(50e9)).count(), 190e9, 1);
  EXPECT_EQ(mooncake_nics_used(Bytes(32 << 20), 8), 8);
  EXPECT_EQ(mooncake_nics_used(Bytes(100'000), 8), 2);
}

}  // namespace
}  // namespace kvsim
