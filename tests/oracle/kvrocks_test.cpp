// Kvrocks against closed forms: where the time of a read and of a write goes, and what a simpler
// model gets wrong (spec/kvrocks_rocksdb.md section 11).
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/rng.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr double kCopy = 10e9;  // of MachineOptions, bytes per second
constexpr double kDisk = 1e9;   // bytes per second
constexpr double kLatency = 1e-4;
constexpr double kLarge = 10e6;  // bytes of a value

// Commands and lookups take 10 us each, 2 copies in, 3 out, checksums at the rate of a copy, reads
// at the disk's full rate. No cache beside what a test adds.
Json kvrocks() {
  return {{"kind", "kvrocks"},
          {"disk", "ssd"},
          {"workers", 1000},
          {"command_s", 1e-5},
          {"copies_in", 1},
          {"copies_out", 2},
          {"tcp_copies", 1},
          {"lookup_s", 1e-5},
          {"checksum_bytes_per_s", kCopy},
          {"buffered_read_share", 1},
          {"block_cache_bytes", 0},
          {"page_cache_bytes", 0},
          {"lsm", {{"write_buffer_bytes", 100 * kMega}, {"compression", "none"}}}};
}

double copies(double count) { return count * kLarge / kCopy; }
constexpr double kSmall = 2e-5;  // command and lookup

TEST(Kvrocks, AReadIsSlowerTheDeeperTheValueLies) {
  in_child([] {
    StoreWorld world;
    const auto memtable = world.make(kvrocks());
    Json cached = kvrocks();
    cached["block_cache_bytes"] = 10'000 * kMega;
    const auto block = world.make(cached);
    Json paged = kvrocks();
    paged["page_cache_bytes"] = 10'000 * kMega;
    const auto page = world.make(paged);
    Json rows = kvrocks();
    rows["row_cache_bytes"] = 10'000 * kMega;
    const auto row = world.make(rows);
    const auto disk = world.make(kvrocks());
    world.send(*memtable, 0, Verb::kPut, 1, kLarge);
    const auto& in_memtable = world.send(*memtable, 1, Verb::kGet, 1);
    std::vector<const StoreWorld::Sent*> reads;
    for (Store* store : {block.get(), page.get(), row.get(), disk.get()}) {
      EXPECT_TRUE(store->preload(1, Bytes(static_cast<std::int64_t>(kLarge))));
      world.send(*store, 1, Verb::kGet, 1);
      reads.push_back(&world.send(*store, 2, Verb::kGet, 1));
    }
    world.world.run();
    const double out = copies(3);
    const double device = kLatency + kLarge / kDisk;
    EXPECT_NEAR(in_memtable.took(), kSmall + out, 1e-9);
    EXPECT_NEAR(reads[0]->took(), kSmall + out, 1e-9) << "block cache";
    EXPECT_NEAR(reads[1]->took(), kSmall + out + copies(2), 1e-9) << "page cache: copy, checksum";
    EXPECT_NEAR(reads[2]->took(), kSmall + out + copies(1), 1e-9) << "row cache";
    EXPECT_NEAR(reads[3]->took(), kSmall + out + copies(2) + device, 1e-9);
    EXPECT_NEAR(reads[3]->spent(Stage::kDisk), device, 1e-9);
    EXPECT_NEAR(reads[3]->spent(Stage::kServer), reads[3]->took() - device, 1e-9);
  });
}

TEST(Kvrocks, OneLargeValueIsOneRead) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(kvrocks());
    EXPECT_TRUE(store->preload(1, Bytes(100 * kMega)));
    world.send(*store, 0, Verb::kGet, 1);
    world.world.run();
    EXPECT_EQ(world.disk->reads, 1) << "not one for each 16 KiB";
    EXPECT_EQ(world.disk->use().read, Bytes(100 * kMega));
  });
}

TEST(Kvrocks, ExistsReadsTheWholeValue) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["block_cache_bytes"] = 10'000 * kMega;
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(static_cast<std::int64_t>(kLarge))));
    const auto& exists = world.send(*store, 0, Verb::kExists, 1);
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    world.world.run();
    EXPECT_NEAR(exists.took(), kSmall + copies(2) + kLatency + kLarge / kDisk, 1e-9);
    EXPECT_NEAR(get.took(), kSmall + copies(3), 1e-9) << "in the block cache since";
  });
}

TEST(Kvrocks, AValueLargerThanACacheShardDoesNotStay) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["block_cache_bytes"] = 64 * 8 * kMega;  // 64 shards of 8 MB
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(9 * kMega)));
    EXPECT_TRUE(store->preload(2, Bytes(8 * kMega)));
    for (int i = 0; i < 2; ++i)
      for (const StoreKey key : {1, 2}) world.send(*store, i, Verb::kGet, key);
    world.world.run();
    EXPECT_EQ(world.disk->reads, 3);
  });
}

double last_set(int count, std::int64_t bytes, bool pipelined) {
  const auto ended = numbers_of_child([&] {
    StoreWorld world;
    Json config = kvrocks();
    config["lsm"]["enable_pipelined_write"] = pipelined;
    const auto store = world.make(config);
    for (int i = 0; i < count; ++i)
      world.send(*store, 0, Verb::kPut, mix64(static_cast<StoreKey>(i + 1)), bytes, i);
    world.world.run();
    double last = 0;
    for (const auto& one : world.sent) last = std::max(last, one->ended);
    return std::vector<double>{last};
  });
  return ended.at(0);
}

TEST(Kvrocks, LargeSetsPassTheLogOneAfterAnotherHoweverManyWorkers) {
  // Side by side: command and 2 copies in. In turn: log copy, checksum, memtable copy.
  EXPECT_NEAR(last_set(1, 10 * kMega, false), 1e-5 + copies(2 + 3), 1e-9);
  EXPECT_NEAR(last_set(5, 10 * kMega, false), 1e-5 + copies(2 + 5 * 3), 1e-9);
}

TEST(Kvrocks, PipelinedWritesOverlapTheLogOfOneWithTheMemtableOfTheOneBefore) {
  EXPECT_NEAR(last_set(5, 10 * kMega, true), 1e-5 + copies(2 + 5 * 2 + 1), 1e-9);
}

TEST(Kvrocks, SmallSetsShareAGroup) {
  const double bytes = 1e5;
  const double copy = bytes / kCopy;
  EXPECT_NEAR(last_set(5, 100'000, true), 1e-5 + (2 + 5 * 2 + 1) * copy, 1e-9);
}

TEST(Kvrocks, AStopHoldsSetsUntilAFlushEnds) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["lsm"] = {{"write_buffer_bytes", 20 * kMega},
                     {"max_write_buffer_number", 3},
                     {"min_write_buffer_number_to_merge", 1},
                     {"max_background_flushes", 1},
                     {"wal", false}};
    const auto store = world.make(config);
    // Three full memtables while the disk still writes the first: 20 MB at 1 GB/s.
    std::vector<const StoreWorld::Sent*> sets;
    for (int i = 0; i < 8; ++i)
      sets.push_back(&world.send(*store, 1e-3 * i, Verb::kPut, mix64(i + 1), 10 * kMega, i));
    world.world.run();
    double stalled = 0;
    for (const auto* set : sets) stalled = std::max(stalled, set->spent(Stage::kDisk));
    EXPECT_GT(stalled, 10e-3);
    EXPECT_LT(stalled, 30e-3);
    for (const auto* set : sets) EXPECT_EQ(set->command.answer, Answer::kStored);
    EXPECT_NEAR(sets[0]->spent(Stage::kDisk), 0, 1e-12);
  });
}

TEST(Kvrocks, TheSlowdownIsANoOpWithTheDelayedRateOfKvrocksAndNotWithRocksdbsOwn) {
  const auto stalled = [](double rate) {
    return numbers_of_child([rate] {
             StoreWorld world;
             Json config = kvrocks();
             config["lsm"] = {{"write_buffer_bytes", 20 * kMega},
                              {"level0_file_num_compaction_trigger", 1000},
                              {"level0_slowdown_writes_trigger", 2},
                              {"level0_stop_writes_trigger", 2000},
                              {"delayed_write_rate_bytes_per_s", rate}};
             const auto store = world.make(config);
             for (int i = 0; i < 60; ++i)
               world.send(*store, 0.1 * i, Verb::kPut, mix64(i + 1), 5 * kMega, i);
             world.world.run();
             double sum = 0;
             for (const auto& one : world.sent) sum += one->spent(Stage::kDisk);
             return std::vector<double>{sum};
           })
        .at(0);
  };
  EXPECT_LT(stalled(0), 1e-2);
  EXPECT_GT(stalled(16 << 20), 0.5);
}

// Puts 600 MB of values, each key once.
struct Traffic {
  double amplification;
  double written;
};
Traffic traffic(bool blobs, bool collect) {
  const auto out = numbers_of_child([&] {
    StoreWorld world;
    Json config = kvrocks();
    config["lsm"] = {{"write_buffer_bytes", 8 * kMega},
                     {"target_file_size_base_bytes", 8 * kMega},
                     {"max_bytes_for_level_base_bytes", 16 * kMega},
                     {"enable_blob_files", blobs},
                     {"enable_blob_garbage_collection", collect}};
    const auto store = world.make(config);
    for (int i = 0; i < 1200; ++i)
      world.send(*store, 0.01 * i, Verb::kPut, mix64(i + 1), kMega / 2, i);
    world.world.run();
    return std::vector<double>{store->use().write_amplification, world.disk->use().written.real()};
  });
  return {out.at(0), out.at(1)};
}

TEST(Kvrocks, LevelsWriteEveryByteManyTimesAndBlobFilesTwice) {
  const Traffic levels = traffic(false, false);
  const Traffic blobs = traffic(true, false);
  const Traffic collected = traffic(true, true);
  EXPECT_GT(levels.amplification, 6);
  EXPECT_LT(levels.amplification, 30);
  EXPECT_GT(blobs.amplification, 1.9);
  EXPECT_LT(blobs.amplification, 2.2);
  // Compactions move the blobs of the oldest files, garbage or not.
  EXPECT_GT(collected.amplification, blobs.amplification);
  EXPECT_LT(collected.amplification, 4);
  // What the tree counts, the disk has written, but for what is still in memtables.
  EXPECT_NEAR(levels.written / 600e6, levels.amplification, 0.2);
  EXPECT_NEAR(blobs.written / 600e6, blobs.amplification, 0.2);
}

TEST(Kvrocks, NothingIsEvictedAndWritesAreRefusedWhenFull) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["max_db_bytes"] = 300 * kMega;
    const auto store = world.make(config);
    for (int i = 0; i < 40; ++i) world.send(*store, i, Verb::kPut, mix64(i + 1), 10 * kMega);
    world.world.run();
    int stored = 0;
    for (const auto& one : world.sent) stored += one->command.answer == Answer::kStored ? 1 : 0;
    EXPECT_GE(stored, 20);
    EXPECT_LT(stored, 30);
    EXPECT_EQ(store->use().evicted, Bytes(0));
    EXPECT_TRUE(store->contains(mix64(1)));
    EXPECT_FALSE(store->contains(mix64(40)));
  });
}

TEST(Kvrocks, AFullDiskRefusesWritesAndStillReads) {
  in_child([] {
    MachineOptions machine;
    machine.disk_capacity = Bytes(400 * kMega);
    StoreWorld world(machine);
    const auto store = world.make(kvrocks());
    for (int i = 0; i < 60; ++i) world.send(*store, i, Verb::kPut, mix64(i + 1), 10 * kMega);
    const auto& get = world.send(*store, 100, Verb::kGet, mix64(1));
    world.world.run();
    EXPECT_EQ(world.sent[59]->command.answer, Answer::kRefused);
    EXPECT_EQ(get.command.answer, Answer::kFound);
    EXPECT_LE(world.disk->use().used, Bytes(400 * kMega));
  });
}

TEST(Kvrocks, AnEvictionPolicyDeletesTheOldestOrTheLeastReadKeys) {
  for (const char* policy : {"fifo", "lru"}) {
    in_child([policy] {
      StoreWorld world;
      Json config = kvrocks();
      config["max_db_bytes"] = 1000 * kMega;
      config["eviction"] = policy;
      config["eviction_fill"] = 0.3;
      config["lsm"] = {{"write_buffer_bytes", 10 * kMega},
                       {"target_file_size_base_bytes", 10 * kMega},
                       {"max_bytes_for_level_base_bytes", 40 * kMega},
                       {"wal_size_limit_bytes", 100 * kMega}};
      const auto store = world.make(config);
      for (int i = 0; i < 200; ++i) {
        world.send(*store, i, Verb::kPut, mix64(i + 1), 5 * kMega);
        world.send(*store, i + 0.5, Verb::kGet, mix64(1));
      }
      world.world.run();
      EXPECT_EQ(store->contains(mix64(1)), policy == std::string("lru")) << policy;
      EXPECT_TRUE(store->contains(mix64(200)));
      EXPECT_LE(store->use().live, Bytes(300 * kMega));
      EXPECT_GT(store->use().evicted, Bytes(500 * kMega));
    });
  }
}

TEST(Kvrocks, AWorkerServesItsConnectionsInTurn) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["workers"] = 1;
    const auto one = world.make(config);
    const auto many = world.make(kvrocks());
    for (Store* store : {one.get(), many.get()})
      for (StoreKey key = 0; key < 8; ++key) EXPECT_TRUE(store->preload(key, Bytes(5 * kMega)));
    // The first waits for the disk; a command that needs none waits for it all the same.
    for (Store* store : {one.get(), many.get()}) {
      world.send(*store, 0, Verb::kGet, 1, 0, 1);
      world.send(*store, 1e-6, Verb::kGet, 99, 0, 2);
    }
    world.world.run();
    EXPECT_GT(world.sent[1]->took(), 5e6 / kDisk);
    EXPECT_NEAR(world.sent[3]->took(), kSmall, 1e-9);
  });
}

TEST(Kvrocks, FewConnectionsShareWorkersByChance) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["workers"] = 32;
    const auto store = world.make(config);
    for (int i = 0; i < 32; ++i) world.send(*store, 0, Verb::kGet, 1, 0, i);
    world.world.run();
    int waited = 0;
    for (const auto& one : world.sent) waited += one->took() > 1.5 * kSmall ? 1 : 0;
    EXPECT_GT(waited, 4) << "32 balls leave a third of 32 bins empty";
    EXPECT_LT(waited, 20);
  });
}

TEST(Kvrocks, CachesInDramHideTheDiskUntilTheWorkingSetIsLarger) {
  const auto reads = [](std::int64_t cache) {
    return numbers_of_child([cache] {
             StoreWorld world;
             Json config = kvrocks();
             config["block_cache_bytes"] = cache;
             config["initial_state"] = {{"caches", "warm"}};
             const auto store = world.make(config);
             for (StoreKey key = 0; key < 100; ++key)
               EXPECT_TRUE(store->preload(mix64(key), Bytes(kMega)));
             for (StoreKey key = 0; key < 100; ++key)
               world.send(*store, static_cast<double>(key), Verb::kGet, mix64(key));
             world.world.run();
             return std::vector<double>{static_cast<double>(world.disk->reads)};
           })
        .at(0);
  };
  EXPECT_EQ(reads(64 * 20 * kMega), 0);
  EXPECT_GT(reads(64 * kMega / 2), 95);
}

TEST(Kvrocks, WhatWasWrittenLatelyIsInThePageCache) {
  in_child([] {
    MachineOptions machine;
    machine.dram = Bytes(2000 * kMega);
    StoreWorld world(machine);
    Json config = kvrocks();
    config.erase("page_cache_bytes");  // what is left of the host's DRAM
    config["lsm"] = {{"write_buffer_bytes", 20 * kMega}};
    const auto store = world.make(config);
    world.host.dram().hold("store", store->dram());
    for (int i = 0; i < 40; ++i)
      world.send(*store, 0.1 * i, Verb::kPut, mix64(i + 1), 10 * kMega, i);
    for (int i = 0; i < 40; ++i) world.send(*store, 100 + i, Verb::kGet, mix64(i + 1));
    world.world.run();
    EXPECT_EQ(world.disk->reads, 0) << "nor did compactions read from the disk";
  });
}

TEST(Kvrocks, AFilledStoreCompactsAsOneThatWasFilledLongAgo) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["lsm"] = {{"write_buffer_bytes", 8 * kMega},
                     {"target_file_size_base_bytes", 8 * kMega},
                     {"max_bytes_for_level_base_bytes", 16 * kMega}};
    config["initial_state"] = {{"filled_bytes", 1000 * kMega}, {"value_bytes", kMega}};
    const auto store = world.make(config);
    for (int i = 0; i < 200; ++i) world.send(*store, 0.1 * i, Verb::kPut, mix64(i + 1), kMega, i);
    world.world.run();
    EXPECT_EQ(store->use().live, Bytes(1200 * kMega));
    EXPECT_EQ(store->use().stored, Bytes(200 * kMega));
    EXPECT_GT(store->use().write_amplification, 8) << "into levels that are full";
  });
}

TEST(Kvrocks, FalsePositivesOfManyFilesReadForeignBlocks) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["lsm"] = {{"write_buffer_bytes", 2 * kMega}, {"bloom_bits_per_key", 2}};
    const auto store = world.make(config);
    for (int i = 0; i < 300; ++i) world.send(*store, 0.01 * i, Verb::kPut, mix64(i + 1), kMega, i);
    const double settled = 100;
    for (int i = 0; i < 100; ++i) world.send(*store, settled + i, Verb::kGet, mix64(1000 + i));
    world.world.run();
    EXPECT_GT(world.disk->reads, 10);
    EXPECT_EQ(store->use().hits, 0);
  });
}

TEST(Kvrocks, AnUnknownDiskIsTheUsersMistake) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["disk"] = "hdd";
    EXPECT_THROW((void)world.make(config), ConfigError);
  });
}

TEST(Kvrocks, AColdRestartLosesCachesAndNoValues) {
  in_child([] {
    StoreWorld world;
    Json config = kvrocks();
    config["block_cache_bytes"] = 10'000 * kMega;
    config["outages"] = {{{"at_s", 10}, {"for_s", 1}, {"restart", "cold"}}};
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(kMega)));
    world.send(*store, 0, Verb::kPut, 2, kMega);
    for (const double at : {1, 2, 20, 21}) world.send(*store, at, Verb::kGet, 1);
    const auto& put = world.send(*store, 22, Verb::kGet, 2);
    world.world.run();
    EXPECT_EQ(world.disk->reads, 2) << "one before, one after";
    EXPECT_EQ(put.command.answer, Answer::kFound);
  });
}

}  // namespace
}  // namespace kvsim
