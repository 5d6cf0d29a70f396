#include "sim/kv/block_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

using Ids = std::vector<BlockId>;

Ids allocate(BlockPool& pool, std::int64_t count) {
  Ids out;
  pool.allocate(count, out);
  return out;
}

TEST(BlockPool, AFreshPoolHandsOutBlocksFromOneUpwards) {
  BlockPool pool({.blocks = 5});
  EXPECT_EQ(pool.free(), 4);
  EXPECT_EQ(allocate(pool, 4), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(pool.free(), 0);
}

TEST(BlockPool, UsageLeavesThePlaceholderOut) {
  BlockPool pool({.blocks = 5});
  (void)allocate(pool, 3);
  EXPECT_DOUBLE_EQ(pool.usage(), 0.75);
}

TEST(BlockPool, FreedBlocksStayHittableUntilTheyAreAllocatedAgain) {
  BlockPool pool({.blocks = 5});
  const std::array<BlockHash, 2> hashes{11, 12};
  const Ids mine = allocate(pool, 2);
  pool.cache(mine, hashes);
  pool.release(mine);
  EXPECT_EQ(pool.free(), 4);
  EXPECT_EQ(pool.match(hashes), 2);
  (void)allocate(pool, 2);
  EXPECT_EQ(pool.match(hashes), 2);
  (void)allocate(pool, 1);
  EXPECT_EQ(pool.match(hashes), 1) << "the end of the chain goes first";
  EXPECT_EQ(pool.evicted_blocks(), 1);
}

TEST(BlockPool, AHitTakesTheBlockOutOfTheFreeQueue) {
  BlockPool pool({.blocks = 3});
  const std::array<BlockHash, 1> hashes{11};
  const Ids first = allocate(pool, 1);
  pool.cache(first, hashes);
  pool.release(first);
  EXPECT_EQ(pool.unreferenced(hashes), 1);
  Ids shared;
  pool.share(hashes, shared);
  EXPECT_EQ(shared, first);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.unreferenced(hashes), 0);
  EXPECT_EQ(allocate(pool, 1), Ids{2});
}

TEST(BlockPool, OneOfTwoDuplicatesCanGoAndTheOtherIsStillHit) {
  BlockPool pool({.blocks = 3});
  const std::array<BlockHash, 1> hashes{11};
  const Ids first = allocate(pool, 1);
  const Ids second = allocate(pool, 1);
  pool.cache(first, hashes);
  pool.cache(second, hashes);
  pool.release(first);
  EXPECT_EQ(allocate(pool, 1), first);
  EXPECT_EQ(pool.match(hashes), 1);
  Ids shared;
  pool.share(hashes, shared);
  EXPECT_EQ(shared, second);
}

TEST(BlockPool, ABlockWithoutContentIsReusedFirst) {
  BlockPool pool({.blocks = 5});
  const std::array<BlockHash, 2> hashes{11, 12};
  const Ids mine = allocate(pool, 3);
  pool.cache(std::span<const BlockId>(mine).first(2), hashes);
  pool.release(mine);
  EXPECT_EQ(allocate(pool, 4), (Ids{3, 4, 2, 1}));
}

TEST(BlockPool, BeforeThatChangeFreedBlocksAllWentToTheTail) {
  BlockPool pool({.blocks = 5, .unhashed_to_front = false});
  const std::array<BlockHash, 2> hashes{11, 12};
  const Ids mine = allocate(pool, 3);
  pool.cache(std::span<const BlockId>(mine).first(2), hashes);
  pool.release(mine);
  EXPECT_EQ(allocate(pool, 4), (Ids{4, 3, 2, 1}));
}

TEST(BlockPool, ClearingGivesAFreshPoolThatKeepsItsCounters) {
  BlockPool pool({.blocks = 3});
  const std::array<BlockHash, 1> hashes{11};
  const Ids mine = allocate(pool, 1);
  pool.cache(mine, hashes);
  pool.release(mine);
  (void)allocate(pool, 2);
  pool.clear();
  EXPECT_EQ(pool.free(), 2);
  EXPECT_EQ(pool.match(hashes), 0);
  EXPECT_EQ(pool.evicted_blocks(), 1);
  EXPECT_EQ(allocate(pool, 2), (Ids{1, 2}));
}

TEST(BlockPool, MisuseIsCaught) {
  BlockPool pool({.blocks = 3});
  const Ids mine = allocate(pool, 1);
  const std::array<BlockHash, 1> hashes{11};
  Ids out;
  EXPECT_THROW(pool.allocate(2, out), CheckFailure);
  EXPECT_THROW(pool.share(hashes, out), CheckFailure);
  pool.release(mine);
  EXPECT_THROW(pool.release(mine), CheckFailure);
  EXPECT_THROW(pool.cache(mine, hashes), CheckFailure);
}

// A prompt that is repeated again and again recomputes its last block each time (vllm.md section
// 4).
TEST(BlockPool, ManyDuplicatesOfOneContentCostNoMoreThanOther) {
  BlockPool pool({.blocks = 20'001});
  const std::array<BlockHash, 1> hashes{11};
  std::vector<BlockId> all;
  for (int i = 0; i < 20'000; ++i) {
    const Ids one = allocate(pool, 1);
    pool.cache(one, hashes);
    all.push_back(one.front());
  }
  pool.release(all);
  (void)allocate(pool, 19'999);
  Ids shared;
  pool.share(hashes, shared);
  EXPECT_EQ(shared, Ids{1}) << "the last that is left: the head of what was released";
}

TEST(BlockPool, AFullPoolOfUnequalHashesFindsEachOfThem) {
  BlockPool pool({.blocks = 50'001});
  std::vector<BlockHash> hashes;
  for (std::uint64_t i = 1; i <= 50'000; ++i) hashes.push_back(i % 2 == 0 ? i << 40 : mix64(i));
  const Ids all = allocate(pool, 50'000);
  pool.cache(all, hashes);
  EXPECT_EQ(pool.match(hashes), 50'000);
  Ids shared;
  pool.share(hashes, shared);
  EXPECT_EQ(shared, all);
  EXPECT_EQ(pool.match(std::array<BlockHash, 1>{mix64(60'000)}), 0);
}

}  // namespace
}  // namespace kvsim
