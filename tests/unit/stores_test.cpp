// Parts of the stores: the cache by bytes, the page cache, sampled eviction, dirty pages.
#include <gtest/gtest.h>

#include <list>

#include "sim/base/rng.hpp"
#include "sim/store/byte_cache.hpp"
#include "sim/store/page_cache.hpp"
#include "sim/store/sampled_keys.hpp"
#include "sim/store/write_back.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

TEST(ByteCache, EqualsBruteForce) {
  Rng rng(5);
  ByteCache cache(Bytes(1000));
  std::list<ByteCache::Entry> order;  // oldest first
  const auto find = [&](std::uint64_t key) {
    return std::find_if(order.begin(), order.end(), [&](const auto& e) { return e.key == key; });
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = rng.below(40);
    const auto at = find(key);
    const std::uint64_t what = rng.below(10);
    if (what < 4) {
      EXPECT_EQ(cache.touch(key), at != order.end());
      if (at != order.end()) order.splice(order.end(), order, at);
    } else if (what < 5) {
      EXPECT_EQ(cache.erase(key).has_value(), at != order.end());
      if (at != order.end()) order.erase(at);
    } else {
      const Bytes bytes(static_cast<std::int64_t>(1 + rng.below(rng.below(50) == 0 ? 1500 : 150)));
      if (at != order.end()) order.erase(at);
      Bytes sum{0};
      for (const auto& entry : order) sum += entry.bytes;
      while (!order.empty() && sum + bytes > Bytes(1000)) {
        sum -= order.front().bytes;
        order.pop_front();
      }
      if (bytes <= Bytes(1000)) order.push_back({key, 0, bytes});
      cache.insert({key, 0, bytes});
    }
    ASSERT_EQ(cache.size(), order.size());
    ASSERT_EQ(cache.oldest().has_value(), !order.empty());
    if (!order.empty()) {
      EXPECT_EQ(cache.oldest()->key, order.front().key);
    }
    ASSERT_LE(cache.bytes(), cache.capacity());
  }
}

TEST(ByteCache, SaysWhatHadToGoOldestFirst) {
  ByteCache cache(Bytes(10));
  cache.insert({1, 7, Bytes(4)});
  cache.insert({2, 8, Bytes(4)});
  const auto& gone = cache.insert({3, 9, Bytes(9)});
  ASSERT_EQ(gone.size(), 2U);
  EXPECT_EQ(gone[0].key, 1U);
  EXPECT_EQ(gone[1].owner, 8U);
  EXPECT_EQ(cache.bytes(), Bytes(9));
}

TEST(PageCache, AFileJustWrittenIsThereUntilYoungerOnesPushItOut) {
  PageCache pages;
  pages.set_capacity(Bytes(100));
  pages.written(1, Bytes(60));
  EXPECT_EQ(pages.resident(1), Bytes(60));
  EXPECT_TRUE(pages.touch(1, 5, Bytes(20)));
  EXPECT_EQ(pages.resident(1), Bytes(60)) << "the same pages, counted once";
  pages.written(2, Bytes(70));
  EXPECT_EQ(pages.resident(1), Bytes(20)) << "what was read since is younger";
  EXPECT_TRUE(pages.touch(1, 5, Bytes(20)));
  EXPECT_FALSE(pages.touch(1, 6, Bytes(20)));
  pages.drop(2);
  EXPECT_EQ(pages.bytes(), Bytes(20));
  pages.read(3, 1, Bytes(80));
  EXPECT_EQ(pages.bytes(), Bytes(100));
  pages.forget(3, 1);
  EXPECT_EQ(pages.resident(3), Bytes(0));
}

TEST(PageCache, KeepsTheEndOfAFileLargerThanItself) {
  PageCache pages;
  pages.set_capacity(Bytes(100));
  pages.written(1, Bytes(500));
  EXPECT_EQ(pages.resident(1), Bytes(100));
}

TEST(PageCache, WithoutMemoryHoldsNothing) {
  PageCache pages;
  pages.written(1, Bytes(10));
  pages.read(1, 1, Bytes(10));
  EXPECT_FALSE(pages.touch(1, 1, Bytes(10)));
  EXPECT_EQ(pages.resident(1), Bytes(0));
}

TEST(SampledKeys, MoreSamplesFindOlderKeys) {
  const auto mean_age = [](std::int64_t samples) {
    SampledKeys keys("allkeys-lru", samples, Rng(1));
    for (StoreKey key = 0; key < 1000; ++key)
      keys.insert(key, Bytes(1), Bytes(1), Seconds(static_cast<double>(key)));
    double sum = 0;
    for (int i = 0; i < 100; ++i) {
      const auto victim = keys.victim(Seconds(2000));
      sum += 2000 - static_cast<double>(victim->used_at);
      keys.erase(victim->key);
    }
    return sum / 100;
  };
  EXPECT_GT(mean_age(10), mean_age(1));
  EXPECT_GT(mean_age(5), 1800) << "of 1000 to 2000";
}

TEST(SampledKeys, VolatilePoliciesFindNothingWithoutTimesToLive) {
  SampledKeys keys("volatile-lru", 5, Rng(1));
  keys.insert(1, Bytes(1), Bytes(1), Seconds(0));
  EXPECT_FALSE(keys.victim(Seconds(1)).has_value());
}

TEST(WriteBack, WritesEveryByteOnceInPieces) {
  in_child([] {
    StoreWorld world;
    WriteBack pages(world.tasks, *world.disk, Bytes(1'000'000));
    pages.add(Bytes(2'500'000));
    pages.add(Bytes(0));
    world.world.run();
    EXPECT_EQ(pages.dirty(), Bytes(0));
    EXPECT_EQ(world.disk->use().written, Bytes(2'500'000));
    EXPECT_NEAR(world.tasks.now().count(), 3 * 1e-4 + 2.5e-3, 1e-9);
  });
}

}  // namespace
}  // namespace kvsim
