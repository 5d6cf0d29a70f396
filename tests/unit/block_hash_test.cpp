#include "sim/workload/block_hash.hpp"

#include <gtest/gtest.h>

#include <set>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

Request request_of(std::vector<ContentRun> prompt, std::int64_t output = 1,
                   std::uint64_t answer_stream = 1000) {
  Request request;
  for (const ContentRun& run : prompt) request.input += Tokens(run.length);
  request.prompt = std::move(prompt);
  request.output = Tokens(output);
  request.answer_stream = answer_stream;
  return request;
}

std::vector<BlockHash> hashes_of(const Request& request, std::int64_t block) {
  std::vector<BlockHash> out;
  extend_block_hashes(request, block, (request.input + request.output).count(), out);
  return out;
}

TEST(BlockHash, APrefixInCommonHasHashesInCommonAndNothingAfterItDoes) {
  const auto a = hashes_of(request_of({{1, 0, 64}, {2, 0, 64}}), 16);
  const auto b = hashes_of(request_of({{1, 0, 64}, {3, 0, 64}}), 16);
  ASSERT_EQ(a.size(), 8u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(a[i], b[i]);
  for (std::size_t i = 4; i < 8; ++i) EXPECT_NE(a[i], b[i]);
}

TEST(BlockHash, EqualBlocksAfterDifferentOnesDiffer) {
  const auto a = hashes_of(request_of({{1, 0, 16}, {9, 0, 16}}), 16);
  const auto b = hashes_of(request_of({{2, 0, 16}, {9, 0, 16}}), 16);
  EXPECT_NE(a[1], b[1]);
}

TEST(BlockHash, HowContentIsCutIntoRunsDoesNotMatter) {
  const auto whole = hashes_of(request_of({{1, 0, 100}, {2, 5, 60}}), 16);
  const auto cut =
      hashes_of(request_of({{1, 0, 7}, {1, 7, 1}, {1, 8, 92}, {2, 5, 30}, {2, 35, 30}}), 16);
  EXPECT_EQ(whole, cut);
}

TEST(BlockHash, OnlyFullBlocksHaveOne) {
  EXPECT_EQ(hashes_of(request_of({{1, 0, 130}}, 1), 64).size(), 2u);
  EXPECT_EQ(hashes_of(request_of({{1, 0, 130}}, 1), 16).size(), 8u);
}

TEST(BlockHash, TheNextTurnHitsTheBlocksOfTheAnswer) {
  const Request first = request_of({{1, 0, 40}}, 50, 77);
  const Request next = request_of({{1, 0, 40}, {77, 0, 50}, {2, 0, 30}});
  const auto a = hashes_of(first, 16);
  const auto b = hashes_of(next, 16);
  ASSERT_EQ(a.size(), 5u);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], b[i]);
}

TEST(BlockHash, AnAnswerOfKnownContentIsHitByAPromptThatRepeatsIt) {
  Request first = request_of({{1, 0, 40}}, 24);
  first.answer = {{5, 0, 10}, {6, 0, 14}};
  const auto a = hashes_of(first, 16);
  const auto b = hashes_of(request_of({{1, 0, 40}, {5, 0, 10}, {6, 0, 14}}), 16);
  EXPECT_EQ(a, b);
}

TEST(BlockHash, GrowingStepByStepGivesTheSameAsAtOnce) {
  Rng rng = stream(3, "test");
  for (int round = 0; round < 50; ++round) {
    std::vector<ContentRun> prompt;
    for (int i = 0; i < 5; ++i)
      prompt.push_back({rng.below(3), static_cast<std::int64_t>(rng.below(4)),
                        1 + static_cast<std::int64_t>(rng.below(40))});
    const Request request = request_of(prompt, 50);
    std::vector<BlockHash> grown;
    for (std::int64_t known = 0; known <= (request.input + request.output).count(); ++known)
      extend_block_hashes(request, 16, known, grown);
    EXPECT_EQ(grown, hashes_of(request, 16));
  }
}

TEST(BlockHash, ManyBlocksHaveManyHashesAndNoneIsZero) {
  std::set<BlockHash> seen;
  for (std::uint64_t i = 0; i < 200; ++i) {
    for (const BlockHash hash : hashes_of(request_of({{i, 0, 16000}}), 16)) {
      EXPECT_NE(hash, 0u);
      seen.insert(hash);
    }
  }
  EXPECT_EQ(seen.size(), 200'000u);
}

TEST(BlockHash, APrefixThatEndsInsideABlockHasAHashOfItsOwn) {
  const Request request = request_of({{1, 0, 100}});
  std::vector<BlockHash> blocks;
  extend_block_hashes(request, 16, 96, blocks);
  EXPECT_EQ(prefix_hash(request, 16, 96, blocks), blocks.back());
  EXPECT_NE(prefix_hash(request, 16, 100, blocks), blocks.back());
  EXPECT_EQ(prefix_hash(request, 16, 100, blocks),
            prefix_hash(request_of({{1, 0, 60}, {1, 60, 40}}), 16, 100, blocks));
}

}  // namespace
}  // namespace kvsim
