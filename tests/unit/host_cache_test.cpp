#include "sim/kv/host_cache.hpp"

#include <gtest/gtest.h>

#include <array>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"

namespace kvsim {
namespace {

using Lookup = HostCache::Lookup;

HostCache make_cache(const HostCache::Options& options, const char* policy = "lru") {
  const Json config = policy;
  return HostCache(options, Registry<Eviction>::instance().make(ConfigNode(config, "test"),
                                                                {.capacity = options.capacity}));
}

void store(HostCache& cache, std::initializer_list<BlockHash> chunks) {
  for (const BlockHash chunk : chunks) {
    ASSERT_TRUE(cache.begin_store(chunk));
    cache.end_store(chunk);
  }
}

TEST(HostCache, AChunkIsPendingUntilItsStoreEnds) {
  HostCache cache = make_cache({.capacity = 2});
  EXPECT_EQ(cache.lookup(1), Lookup::kMiss);
  EXPECT_TRUE(cache.begin_store(1));
  EXPECT_EQ(cache.lookup(1), Lookup::kPending);
  cache.end_store(1);
  EXPECT_EQ(cache.lookup(1), Lookup::kReady);
  EXPECT_EQ(cache.lookups(), 3);
  EXPECT_EQ(cache.hits(), 2);
}

TEST(HostCache, AChunkThatIsHereIsNotStoredAgain) {
  HostCache cache = make_cache({.capacity = 2});
  EXPECT_TRUE(cache.begin_store(1));
  EXPECT_FALSE(cache.begin_store(1));
  cache.end_store(1);
  EXPECT_FALSE(cache.begin_store(1));
  EXPECT_EQ(cache.stores(), 1);
  EXPECT_EQ(cache.dropped(), 0);
}

TEST(HostCache, AFailedStoreLeavesNothing) {
  HostCache cache = make_cache({.capacity = 1});
  EXPECT_TRUE(cache.begin_store(1));
  cache.end_store(1, false);
  EXPECT_EQ(cache.size(), 0);
  EXPECT_EQ(cache.lookup(1), Lookup::kMiss);
  EXPECT_TRUE(cache.begin_store(2));
}

TEST(HostCache, AFullCacheEvictsTheLeastRecentlyUsedChunk) {
  HostCache cache = make_cache({.capacity = 2});
  store(cache, {1, 2});
  (void)cache.lookup(1);
  store(cache, {3});
  EXPECT_FALSE(cache.contains(2));
  EXPECT_TRUE(cache.contains(1));
  EXPECT_EQ(cache.evicted(), 1);
}

TEST(HostCache, ChunksBeingLoadedStayAndStoresAreDropped) {
  HostCache cache = make_cache({.capacity = 1});
  store(cache, {1});
  cache.begin_load(1);
  cache.begin_load(1);
  EXPECT_FALSE(cache.begin_store(2));
  cache.end_load(1);
  EXPECT_FALSE(cache.begin_store(2)) << "one load is still under way";
  cache.end_load(1);
  EXPECT_EQ(cache.dropped(), 2);
  EXPECT_TRUE(cache.begin_store(2));
  EXPECT_FALSE(cache.contains(1));
}

TEST(HostCache, ChunksBeingStoredStay) {
  HostCache cache = make_cache({.capacity = 1});
  EXPECT_TRUE(cache.begin_store(1));
  EXPECT_FALSE(cache.begin_store(2));
  EXPECT_EQ(cache.dropped(), 1);
}

TEST(HostCache, APrefixEndsAtTheFirstMiss) {
  HostCache cache = make_cache({.capacity = 4});
  store(cache, {1, 2, 4});
  const ChunkPrefix prefix = cache.lookup(std::array<BlockHash, 4>{1, 2, 3, 4});
  EXPECT_EQ(prefix.chunks, 2);
  EXPECT_FALSE(prefix.pending);
  EXPECT_FALSE(prefix.loading);
}

TEST(HostCache, APrefixTellsOfChunksUnderWay) {
  HostCache cache = make_cache({.capacity = 4});
  store(cache, {1});
  EXPECT_TRUE(cache.begin_store(2));
  cache.begin_load(1);
  const ChunkPrefix prefix = cache.lookup(std::array<BlockHash, 2>{1, 2});
  EXPECT_EQ(prefix.chunks, 2);
  EXPECT_TRUE(prefix.pending);
  EXPECT_TRUE(prefix.loading);
}

TEST(HostCache, AChainIsEvictedFromItsEnd) {
  HostCache cache = make_cache({.capacity = 3});
  store(cache, {1, 2, 3});
  (void)cache.lookup(std::array<BlockHash, 3>{1, 2, 3});
  store(cache, {4});
  EXPECT_FALSE(cache.contains(3));
  store(cache, {5});
  EXPECT_FALSE(cache.contains(2));
}

TEST(HostCache, ABatchIsStoredWholeOrNotAtAll) {
  HostCache cache = make_cache({.capacity = 3});
  store(cache, {1, 2, 3});
  cache.begin_load(1);
  std::vector<BlockHash> begun;
  EXPECT_FALSE(cache.begin_store(std::array<BlockHash, 3>{4, 5, 6}, begun));
  EXPECT_TRUE(begun.empty());
  EXPECT_EQ(cache.dropped(), 3);
  EXPECT_EQ(cache.evicted(), 0);
  EXPECT_TRUE(cache.begin_store(std::array<BlockHash, 2>{4, 5}, begun));
  EXPECT_EQ(begun, (std::vector<BlockHash>{4, 5}));
  EXPECT_EQ(cache.evicted(), 2);
}

TEST(HostCache, ABatchDoesNotEvictItsOwnChunks) {
  HostCache cache = make_cache({.capacity = 2});
  store(cache, {1, 2});
  std::vector<BlockHash> begun;
  EXPECT_TRUE(cache.begin_store(std::array<BlockHash, 2>{1, 3}, begun));
  EXPECT_EQ(begun, std::vector<BlockHash>{3});
  EXPECT_TRUE(cache.contains(1));
  EXPECT_FALSE(cache.contains(2));
}

TEST(HostCache, AThresholdStoresOnlyWhatWasLookedUpOften) {
  HostCache cache = make_cache({.capacity = 4, .store_threshold = 2});
  (void)cache.lookup(1);
  EXPECT_FALSE(cache.begin_store(1));
  EXPECT_EQ(cache.skipped(), 1);
  (void)cache.lookup(1);
  EXPECT_TRUE(cache.begin_store(1));
  EXPECT_EQ(cache.dropped(), 0);
}

TEST(HostCache, OnlyTheLatestLookupsAreCounted) {
  HostCache cache = make_cache({.capacity = 4, .store_threshold = 2, .tracked = 2});
  (void)cache.lookup(1);
  (void)cache.lookup(2);
  (void)cache.lookup(3);
  (void)cache.lookup(1);
  EXPECT_FALSE(cache.begin_store(1)) << "its first lookup was forgotten";
  (void)cache.lookup(3);
  EXPECT_TRUE(cache.begin_store(3));
}

TEST(HostCache, NoCapacityIsNoTier) {
  HostCache cache = make_cache({.capacity = 0});
  std::vector<BlockHash> begun;
  EXPECT_EQ(cache.lookup(1), Lookup::kMiss);
  EXPECT_EQ(cache.lookup(std::array<BlockHash, 1>{1}).chunks, 0);
  EXPECT_FALSE(cache.begin_store(1));
  EXPECT_FALSE(cache.begin_store(std::array<BlockHash, 1>{1}, begun));
  EXPECT_EQ(cache.lookups() + cache.dropped() + cache.skipped(), 0);
}

TEST(HostCache, MisuseIsCaught) {
  HostCache cache = make_cache({.capacity = 2});
  EXPECT_THROW(cache.end_store(1), CheckFailure);
  EXPECT_THROW(cache.begin_load(1), CheckFailure);
  EXPECT_TRUE(cache.begin_store(1));
  EXPECT_THROW(cache.begin_load(1), CheckFailure) << "not stored yet";
  cache.end_store(1);
  EXPECT_THROW(cache.end_load(1), CheckFailure);
}

}  // namespace
}  // namespace kvsim
