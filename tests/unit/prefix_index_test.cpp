#include "sim/kv/prefix_index.hpp"

#include <gtest/gtest.h>

#include <array>

#include "sim/base/check.hpp"

namespace kvsim {
namespace {

using Lengths = std::vector<std::int32_t>;

Lengths match(PrefixIndex& index, const std::vector<BlockHash>& hashes) {
  Lengths blocks;
  index.match(hashes, blocks);
  return blocks;
}

TEST(PrefixIndex, TellsTheLeadingBlocksOfEachReplica) {
  PrefixIndex index({.replicas = 3, .capacity = 10});
  index.insert(0, std::array<BlockHash, 3>{1, 2, 3});
  index.insert(2, std::array<BlockHash, 2>{1, 9});
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{3, 0, 1}));
}

TEST(PrefixIndex, AMissEndsTheMatchThoughLaterBlocksAreHeld) {
  PrefixIndex index({.replicas = 1, .capacity = 10});
  index.insert(0, std::array<BlockHash, 2>{1, 3});
  EXPECT_EQ(match(index, {1, 2, 3}), Lengths{1});
}

TEST(PrefixIndex, ForgetsTheOldestBeyondItsCapacity) {
  PrefixIndex index({.replicas = 1, .capacity = 3});
  index.insert(0, std::array<BlockHash, 3>{1, 2, 3});
  index.insert(0, std::array<BlockHash, 1>{4});
  EXPECT_EQ(match(index, {1}), Lengths{0});
  EXPECT_EQ(match(index, {2, 3, 4}), Lengths{3});
}

TEST(PrefixIndex, InsertingAgainMakesYoung) {
  PrefixIndex index({.replicas = 1, .capacity = 2});
  index.insert(0, std::array<BlockHash, 2>{1, 2});
  index.insert(0, std::array<BlockHash, 2>{1, 3});
  EXPECT_EQ(match(index, {1, 3}), Lengths{2});
}

TEST(PrefixIndex, LookingUpDoesNotMakeYoung) {
  PrefixIndex index({.replicas = 1, .capacity = 2});
  index.insert(0, std::array<BlockHash, 2>{1, 2});
  EXPECT_EQ(match(index, {1}), Lengths{1});
  index.insert(0, std::array<BlockHash, 1>{3});
  EXPECT_EQ(match(index, {1}), Lengths{0});
}

TEST(PrefixIndex, ARemovedReplicaHoldsNothingAndCanComeBack) {
  PrefixIndex index({.replicas = 2, .capacity = 10});
  index.insert(0, std::array<BlockHash, 2>{1, 2});
  index.insert(1, std::array<BlockHash, 1>{1});
  index.remove_replica(0);
  EXPECT_EQ(match(index, {1, 2}), (Lengths{0, 1}));
  EXPECT_EQ(index.hashes(), 1U);
  index.insert(0, std::array<BlockHash, 1>{1});
  EXPECT_EQ(match(index, {1}), (Lengths{1, 1}));
}

TEST(PrefixIndex, AnEmptyPromptMatchesNowhere) {
  PrefixIndex index({.replicas = 2, .capacity = 10});
  EXPECT_EQ(match(index, {}), (Lengths{0, 0}));
}

TEST(PrefixIndex, AReplicaOutOfRangeIsCaught) {
  PrefixIndex index({.replicas = 2, .capacity = 10});
  EXPECT_THROW(index.insert(2, std::array<BlockHash, 1>{1}), CheckFailure);
}

}  // namespace
}  // namespace kvsim
