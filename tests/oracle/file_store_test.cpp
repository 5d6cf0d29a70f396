// A file a value: what a read and a write take, with and without the page cache, and what is left
// after a restart.
#include <gtest/gtest.h>

#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr double kOpen = 2e-5;
constexpr double kDevice = 1e-4 + 10e6 / 1e9;  // of 10 MB
constexpr double kCopy = 10e6 / 10e9;

Json files() { return {{"kind", "files"}, {"disk", "ssd"}, {"buffered_read_share", 0.5}}; }

TEST(Files, DirectReadsAndWritesAreTheDisks) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(files());
    const auto& put = world.send(*store, 0, Verb::kPut, 1, 10 * kMega);
    const auto& early = world.send(*store, kDevice, Verb::kExists, 1);
    const auto& get = world.send(*store, 1, Verb::kGet, 1);
    world.world.run();
    EXPECT_TRUE(store->local());
    EXPECT_NEAR(put.took(), kOpen + kDevice, 1e-9);
    EXPECT_EQ(early.command.answer, Answer::kMissing) << "not renamed yet";
    EXPECT_NEAR(get.took(), kOpen + kDevice, 1e-9);
    EXPECT_NEAR(get.spent(Stage::kDisk), kDevice, 1e-9);
    EXPECT_NEAR(store->estimate_get(Bytes(10 * kMega)).count(), get.took(), 2e-4);
  });
}

TEST(Files, BufferedOnesAreCopiesWhileThePageCacheHasThem) {
  in_child([] {
    StoreWorld world;
    Json config = files();
    config["io"] = "buffered";
    config["page_cache_bytes"] = 25 * kMega;
    const auto store = world.make(config);
    for (StoreKey key = 1; key <= 3; ++key)
      world.send(*store, static_cast<double>(key), Verb::kPut, key, 10 * kMega);
    const auto& young = world.send(*store, 10, Verb::kGet, 3);
    const auto& old = world.send(*store, 11, Verb::kGet, 1);
    world.world.run();
    EXPECT_NEAR(world.sent[0]->took(), kOpen + kCopy, 1e-9) << "the disk comes later";
    EXPECT_NEAR(young.took(), kOpen + kCopy, 1e-9);
    EXPECT_NEAR(old.took(), kOpen + kCopy + 1e-4 + 10e6 / 0.5e9, 1e-9);
    EXPECT_EQ(world.disk->use().written, Bytes(30 * kMega));
  });
}

TEST(Files, WritersWaitForTheDiskWhenTooMuchIsDirty) {
  in_child([] {
    StoreWorld world;
    Json config = files();
    config["io"] = "buffered";
    config["page_cache_bytes"] = 100 * kMega;  // a fifth may be dirty
    const auto store = world.make(config);
    for (StoreKey key = 1; key <= 5; ++key)
      world.send(*store, 1e-3 * static_cast<double>(key), Verb::kPut, key, 10 * kMega);
    world.world.run();
    EXPECT_EQ(world.sent[1]->spent(Stage::kDisk), 0);
    EXPECT_GT(world.sent[4]->spent(Stage::kDisk), 5e-3);
  });
}

TEST(Files, ThreadsLimitWhatReadsSideBySide) {
  in_child([] {
    StoreWorld world;
    Json config = files();
    config["read_threads"] = 1;
    const auto store = world.make(config);
    EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
    for (int i = 0; i < 3; ++i) world.send(*store, 0, Verb::kGet, 1, 0, i);
    world.world.run();
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(world.sent[i]->ended, (i + 1) * (kOpen + kDevice), 1e-9);
  });
}

TEST(Files, TheLeastRecentlyReadGoesOrTheNewOneIsRefused) {
  for (const bool evicts : {false, true}) {
    in_child([evicts] {
      StoreWorld world;
      Json config = files();
      config["capacity_bytes"] = 30 * kMega;
      config["eviction"] = evicts ? "lru" : "none";
      const auto store = world.make(config);
      for (StoreKey key = 1; key <= 3; ++key) EXPECT_TRUE(store->preload(key, Bytes(10 * kMega)));
      world.send(*store, 0, Verb::kGet, 1);
      const auto& put = world.send(*store, 1, Verb::kPut, 4, 10 * kMega);
      world.world.run();
      EXPECT_EQ(put.command.answer, evicts ? Answer::kStored : Answer::kRefused);
      EXPECT_TRUE(store->contains(1));
      EXPECT_EQ(store->contains(2), !evicts);
      EXPECT_LE(world.disk->use().used, Bytes(31 * kMega));
    });
  }
}

TEST(Files, AnIndexInMemoryForgetsFilesThatStillTakeRoom) {
  for (const char* index : {"files", "memory"}) {
    in_child([index] {
      StoreWorld world;
      Json config = files();
      config["index"] = index;
      const auto store = world.make(config);
      EXPECT_TRUE(store->preload(1, Bytes(10 * kMega)));
      store->restart(false);
      EXPECT_EQ(store->contains(1), index == std::string("files"));
      EXPECT_GE(world.disk->use().used, Bytes(10 * kMega));
    });
  }
}

}  // namespace
}  // namespace kvsim
