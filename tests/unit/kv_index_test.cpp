#include "sim/kv/kv_index.hpp"

#include <gtest/gtest.h>

#include "sim/kv/kv_events.hpp"

namespace kvsim {
namespace {

using Lengths = std::vector<std::array<std::int32_t, kIndexTiers>>;

Lengths match(KvIndex& index, const std::vector<BlockHash>& hashes) {
  std::vector<KvMatch> matches;
  index.match(hashes, matches);
  Lengths out;
  for (const KvMatch& match : matches) out.push_back(match.through);
  return out;
}

TEST(KvIndex, TellsTheLeadingBlocksOfEachReplica) {
  KvIndex index({.replicas = 3});
  for (const BlockHash hash : {1, 2, 3}) index.add(0, 0, hash);
  index.add(2, 0, 1);
  index.add(2, 0, 3);  // behind a gap
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{{3, 3, 3}, {0, 0, 0}, {1, 1, 1}}));
}

TEST(KvIndex, ADeeperTierGoesOnWhereAHigherOneEnds) {
  KvIndex index({.replicas = 1});
  index.add(0, 0, 1);
  index.add(0, 1, 2);
  index.add(0, 2, 3);
  index.add(0, 0, 4);
  EXPECT_EQ(match(index, {1, 2, 3, 4, 5}), (Lengths{{1, 2, 4}}));
}

TEST(KvIndex, WhatAMatchHoldsInATierIsWhatItAdds) {
  KvIndex index({.replicas = 1});
  index.add(0, 0, 1);
  index.add(0, 1, 1);  // in both: counts for the higher one
  index.add(0, 1, 2);
  std::vector<KvMatch> matches;
  index.match(std::vector<BlockHash>{1, 2}, matches);
  EXPECT_EQ(matches[0].in(0), 1);
  EXPECT_EQ(matches[0].in(1), 1);
  EXPECT_EQ(matches[0].in(2), 0);
  EXPECT_EQ(matches[0].all(), 2);
}

TEST(KvIndex, AGroupIsNamedByItsLastBlock) {
  KvIndex index({.replicas = 1, .group_blocks = {1, 2, 1}});
  index.add(0, 1, 2);
  index.add(0, 1, 4);
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{{0, 4, 4}}));
  // The prompt ends inside the second group: nobody asks for that.
  EXPECT_EQ(match(index, {1, 2, 3}), (Lengths{{0, 2, 2}}));
  index.remove(0, 1, 2);
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{{0, 0, 0}}));
  // HBM has what the group lacks.
  index.add(0, 0, 1);
  index.add(0, 0, 2);
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{{2, 4, 4}}));
}

TEST(KvIndex, ABlockCachedTwiceIsHeldUntilItIsEvictedTwice) {
  KvIndex index({.replicas = 1});
  index.add(0, 0, 1);
  index.add(0, 0, 1);
  EXPECT_EQ(index.size(0), 1);
  index.remove(0, 0, 1);
  EXPECT_EQ(match(index, {1}), (Lengths{{1, 1, 1}}));
  index.remove(0, 0, 1);
  EXPECT_EQ(match(index, {1}), (Lengths{{0, 0, 0}}));
  EXPECT_EQ(index.size(0), 0);
}

TEST(KvIndex, RemovingWhatItNeverHeardOfDoesNothing) {
  KvIndex index({.replicas = 2});
  index.add(0, 0, 1);
  index.remove(1, 0, 1);
  index.remove(0, 1, 1);
  index.remove(0, 0, 2);
  index.remove(-1, 0, 1);
  EXPECT_EQ(match(index, {1}), (Lengths{{1, 1, 1}, {0, 0, 0}}));
}

TEST(KvIndex, ClearingAReplicaLeavesTheOthers) {
  KvIndex index({.replicas = 2});
  for (const BlockHash hash : {1, 2, 3}) {
    index.add(0, 0, hash);
    index.add(0, 0, hash);
    index.add(0, 1, hash);
    index.add(1, 0, hash);
  }
  index.clear(0);
  EXPECT_EQ(match(index, {1, 2, 3}), (Lengths{{0, 0, 0}, {3, 3, 3}}));
  EXPECT_EQ(index.size(0), 0);
  index.add(0, 0, 1);
  index.remove(0, 0, 1);  // the second copy was forgotten too
  EXPECT_EQ(match(index, {1}).front(), (std::array{0, 0, 0}));
}

TEST(KvIndex, TheEleventhReplicaTakesThePlaceOfTheOldest) {
  KvIndex index({.replicas = 100, .most_replicas = 10});
  for (std::int32_t i = 0; i < 10; ++i) index.add(9 * i, 0, 1);  // in two words
  index.add(0, 0, 1);                                            // now the youngest
  index.add(99, 0, 1);
  const Lengths lengths = match(index, {1});
  EXPECT_EQ(lengths[9][0], 0);
  EXPECT_EQ(lengths[0][0], 1);
  EXPECT_EQ(lengths[99][0], 1);
  EXPECT_EQ(index.size(9), 0);
  std::int32_t holders = 0;
  for (const auto& length : lengths) holders += length[0];
  EXPECT_EQ(holders, 10);
}

TEST(KvIndex, WithALimitOfOneTheLatestHolds) {
  KvIndex index({.replicas = 100, .most_replicas = 1});
  index.add(3, 0, 1);
  index.add(70, 0, 1);
  EXPECT_EQ(match(index, {1})[3][0], 0);
  EXPECT_EQ(match(index, {1})[70][0], 1);
}

TEST(KvIndex, BlocksOfAStoreThatAllReachAreCountedApart) {
  KvIndex index({.replicas = 2, .group_blocks = {1, 1, 2}});
  index.add(-1, 1, 1);
  index.add(-1, 2, 4);
  index.add(-1, 1, 2);
  EXPECT_EQ(index.match_shared(std::vector<BlockHash>{1, 2, 3, 4, 5}), 4);
  EXPECT_EQ(match(index, {1, 2, 3, 4}), (Lengths{{0, 0, 0}, {0, 0, 0}}));
  index.remove(-1, 1, 1);
  EXPECT_EQ(index.match_shared(std::vector<BlockHash>{1, 2, 3, 4, 5}), 0);
}

TEST(KvIndex, AnEmptyPromptMatchesNothing) {
  KvIndex index({.replicas = 2});
  EXPECT_EQ(match(index, {}), (Lengths{{0, 0, 0}, {0, 0, 0}}));
}

TEST(KvIndex, KnowsWhatHasArrivedAndNothingElse) {
  KvEventOptions options;
  options.publish = Seconds(0.5);
  options.network = options.apply = Seconds(0);
  KvEventLog log(options, 1, 1);
  KvIndex index({.replicas = 2});
  index.listen(1, &log);
  log.tier(0)->cached(1);
  log.step_ended(Seconds(1));
  log.tier(0)->evicted(1);
  log.tier(1)->cached(1);
  log.step_ended(Seconds(2));
  index.advance(Seconds(1.5 - 1e-9));
  EXPECT_EQ(match(index, {1})[1], (std::array{0, 0, 0}));
  index.advance(Seconds(1.5));
  EXPECT_EQ(match(index, {1})[1], (std::array{1, 1, 1}));
  index.advance(Seconds(2.5 - 1e-9));
  EXPECT_EQ(match(index, {1})[1], (std::array{1, 1, 1}));
  index.advance(Seconds(2.5));
  EXPECT_EQ(match(index, {1})[1], (std::array{0, 1, 1}));
  log.cleared();
  log.step_ended(Seconds(3));
  index.advance(Seconds(3.5));
  EXPECT_EQ(match(index, {1})[1], (std::array{0, 0, 0}));
}

TEST(KvIndex, NoLongerListensToALogThatWasTakenAway) {
  KvEventLog log({}, 1, 0);
  KvIndex index({.replicas = 1});
  index.listen(0, &log);
  log.tier(0)->cached(1);
  log.step_ended(Seconds(1));
  index.listen(0, nullptr);
  index.advance(Seconds(10));
  EXPECT_EQ(match(index, {1}), (Lengths{{0, 0, 0}}));
}

}  // namespace
}  // namespace kvsim
