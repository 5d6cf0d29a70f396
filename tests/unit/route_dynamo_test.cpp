// Dynamo's KV router: its cost, and what it remembers of its load. Every expected cost is worked
// out in the comment above it.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/route_dynamo_kv_cost.hpp"
#include "sim/frontend/route_dynamo_kv_load.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

// --- Costs ---------------------------------------------------------------------------------------

DynamoWeights weights(Json options, Role role = Role::kAggregated) {
  return dynamo_weights(read_config<DynamoKvOptions>(ConfigNode(options, "test")), role);
}

struct Row {
  const char* name;
  DynamoWeights weights;
  DynamoRequest request;  // tokens, block, least prefill tokens
  DynamoWorker worker;    // {device, host, disk, shared}, prefill tokens, decode blocks, requests
  double cost;
};

// A prompt of 160 tokens in blocks of 16: 10 blocks, which are also the decode blocks of an idle
// worker with the request.
const DynamoRequest kTen{160, 16, 0};

std::vector<Row> rows_without_credits() {
  const DynamoWeights old = weights({{"generation", "old"}});
  const DynamoWeights mid = weights({{"generation", "mid"}});
  const DynamoWeights twice = weights({{"generation", "old"}, {"overlap_score_weight", 2}});
  const DynamoWeights zero = weights({{"generation", "mid"}, {"overlap_score_weight", 0}});
  const DynamoWeights loads =
      weights({{"generation", "mid"}, {"router_track_prefill_tokens", false}});
  return {
      // 160 / 16 + 10
      {"old idle", old, kTen, {{0, 0, 0, 0}, 0, 10, 0}, 20},
      // (160 - 4 * 16) / 16 + 10
      {"old cached", old, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 16},
      // 2 * 6 + 10
      {"old weight 2", twice, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 22},
      // 0 * 6 + 10
      {"mid weight 0", zero, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 10},
      // (320 + 96) / 16 + 15
      {"old loaded", old, kTen, {{4, 0, 0, 0}, 320, 15, 2}, 41},
      {"mid loaded", mid, kTen, {{4, 0, 0, 0}, 320, 15, 2}, 41},
      // The part of a block counts in tokens: (170 - 160) / 16 + 10
      {"old partial", old, {170, 16, 0}, {{10, 0, 0, 0}, 0, 10, 0}, 10.625},
      // (160 - 160) / 16 + 10
      {"old all cached", old, kTen, {{10, 0, 0, 0}, 0, 10, 0}, 10},
      // Lower tiers and a shared store count for nothing: as idle.
      {"old lower tiers", old, kTen, {{0, 6, 4, 10}, 0, 10, 0}, 20},
      // 10 alone
      {"mid no prompts", loads, kTen, {{4, 0, 0, 0}, 320, 10, 0}, 10},
      // Blocks of 64: (1000 - 3 * 64) / 64 + 15 = 12.625 + 15
      {"old block 64", old, {1000, 64, 0}, {{3, 0, 0, 0}, 0, 15, 0}, 27.625},
  };
}

std::vector<Row> rows_with_credits() {
  const DynamoWeights now = weights(Json::object());
  const DynamoWeights shared = weights({{"shared_cache_multiplier", 0.5}});
  const DynamoWeights doubled = weights({{"overlap_score_credit", 2}});
  const DynamoWeights none = weights({{"overlap_score_credit", 0}});
  const DynamoWeights half = weights({{"prefill_load_scale", 0.5}});
  const DynamoWeights requests = weights({{"decode_active_request_weight", 2.5}});
  const DynamoWeights alias = weights({{"overlap_score_weight", 2}});
  const DynamoWeights alias_zero = weights({{"overlap_score_weight", 0}});
  const DynamoWeights loads = weights({{"router_track_prefill_tokens", false}});
  return {
      // 160 / 16 + 10
      {"new idle", now, kTen, {{0, 0, 0, 0}, 0, 10, 0}, 20},
      // 10 - 1.0 * 4 + 10
      {"new device", now, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 16},
      // 10 - 0.75 * 4 + 10
      {"new host", now, kTen, {{0, 4, 0, 0}, 0, 10, 0}, 17},
      // 10 - 0.25 * 4 + 10
      {"new disk", now, kTen, {{0, 0, 4, 0}, 0, 10, 0}, 19},
      // 10 - (2 + 3 + 1) + 10
      {"new all tiers", now, kTen, {{2, 4, 4, 0}, 0, 10, 0}, 14},
      // Shared counts only with a multiplier: 10 - 2 + 10, and 10 - (2 + 0.5 * 6) + 10
      {"new shared off", now, kTen, {{2, 0, 0, 6}, 0, 10, 0}, 18},
      {"new shared", shared, kTen, {{2, 0, 0, 6}, 0, 10, 0}, 15},
      // max(0, 10 - 2 * 8) + 10
      {"new clamp", doubled, kTen, {{8, 0, 0, 0}, 0, 10, 0}, 10},
      // 10 - 0 * 8 + 10
      {"new credit 0", none, kTen, {{8, 0, 0, 0}, 0, 10, 0}, 20},
      // (320 + 160) / 16 - 4 + 15
      {"new loaded", now, kTen, {{4, 0, 0, 0}, 320, 15, 2}, 41},
      // 0.5 * 26 + 15
      {"new scale", half, kTen, {{4, 0, 0, 0}, 320, 15, 2}, 28},
      // 10 + 10 + 2.5 * 3
      {"new requests", requests, kTen, {{0, 0, 0, 0}, 0, 10, 3}, 27.5},
      // The old name: 2 * (10 - 4) + 10; 0 leaves blocks alone.
      {"new old name", alias, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 22},
      {"new old name 0", alias_zero, kTen, {{4, 0, 0, 0}, 0, 10, 0}, 10},
      // (170 - 160) / 16 + 10
      {"new partial", now, {170, 16, 0}, {{10, 0, 0, 0}, 0, 10, 0}, 10.625},
      // 10 alone
      {"new no prompts", loads, kTen, {{4, 0, 0, 0}, 320, 10, 0}, 10},
  };
}

std::vector<Row> rows_of_decay() {
  const DynamoWeights one = weights({{"overlap_score_credit_decay", 1}});
  const DynamoWeights two = weights({{"overlap_score_credit_decay", 2}});
  return {
      // 160 tokens above the least are 10 blocks, one request: 20 - 0.5 * 8 + 10
      {"decay one request", one, {160, 16, 0}, {{8, 0, 0, 0}, 160, 10, 0}, 26},
      // The least loaded keeps its credit: 20 - 8 + 10
      {"decay none", one, {160, 16, 160}, {{8, 0, 0, 0}, 160, 10, 0}, 22},
      // 5 blocks of excess, half a request: 1 / (1 + 2 * 0.5); 15 - 0.5 * 8 + 10
      {"decay two", two, {160, 16, 0}, {{8, 0, 0, 0}, 80, 10, 0}, 21},
      // Lower tiers do not decay: 20 - 0.75 * 4 + 10
      {"decay host", one, {160, 16, 0}, {{0, 4, 0, 0}, 160, 10, 0}, 27},
      // 170 tokens are 11 blocks of request, 176 of excess 11: (176 + 170) / 16 - 0.5 * 10 + 10
      {"decay partial", one, {170, 16, 0}, {{10, 0, 0, 0}, 176, 10, 0}, 26.625},
  };
}

std::vector<Row> rows_of_roles() {
  const Json plain = Json::object();
  const DynamoWeights decode = weights(plain, Role::kDecode);
  const DynamoWeights decode_old = weights({{"generation", "old"}}, Role::kDecode);
  const DynamoWeights decode_requests =
      weights({{"decode_active_request_weight", 1}}, Role::kDecode);
  const DynamoWeights prefill = weights(plain, Role::kPrefill);
  return {
      // Decode: blocks alone, whatever is cached or waits for prefill.
      {"decode new", decode, kTen, {{8, 0, 0, 0}, 320, 25, 3}, 25},
      {"decode old", decode_old, kTen, {{8, 0, 0, 0}, 320, 25, 3}, 25},
      // 25 + 1 * 3
      {"decode requests", decode_requests, kTen, {{8, 0, 0, 0}, 320, 25, 3}, 28},
      // Prefill: (320 + 160) / 16 - 4, no blocks
      {"prefill new", prefill, kTen, {{4, 0, 0, 0}, 320, 0, 2}, 26},
  };
}

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows)
    EXPECT_DOUBLE_EQ(dynamo_cost(row.weights, row.request, row.worker), row.cost) << row.name;
}

TEST(DynamoCost, OfOldGenerationsByHand) { expect_rows(rows_without_credits()); }
TEST(DynamoCost, OfTheNewGenerationByHand) { expect_rows(rows_with_credits()); }
TEST(DynamoCost, CreditDecaysWithExcessLoadByHand) { expect_rows(rows_of_decay()); }
TEST(DynamoCost, OfPrefillAndDecodeRoutersByHand) { expect_rows(rows_of_roles()); }

TEST(DynamoCost, CachedTokensWeighTiersInTheNewGenerationOnly) {
  // round((2 + 0.75 * 3 + 0.25 * 1) * 16) = 72; old: 2 * 16
  EXPECT_EQ(dynamo_cached_tokens(weights(Json::object()), kTen, {2, 3, 1, 9}), 72);
  EXPECT_EQ(dynamo_cached_tokens(weights({{"generation", "old"}}), kTen, {2, 3, 1, 9}), 32);
}

TEST(DynamoCost, SoftmaxDrawsByTheNormalisedCost) {
  // Range 2, temperature 0.5: exponents 0, -1, -2; weights 1, 0.3679, 0.1353; sum 1.5032.
  const std::array<double, 3> costs{10, 11, 12};
  const std::array<double, 3> expected{0.66524, 0.24473, 0.09003};
  Rng rng = stream(3, "test/softmax");
  std::vector<double> scratch;
  std::array<double, 3> seen{};
  constexpr int kDraws = 30'000;
  for (int i = 0; i < kDraws; ++i) ++seen[softmax_pick(costs, 0.5, rng.uniform(), scratch)];
  double chi_square = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(scratch[i], expected[i], 1e-5);
    const double mean = kDraws * expected[i];
    chi_square += (seen[i] - mean) * (seen[i] - mean) / mean;
  }
  EXPECT_LT(chi_square, 18.4);  // two degrees of freedom, one in 10,000
}

TEST(DynamoCost, SoftmaxIsCutAtItsProbabilities) {
  const std::array<double, 3> costs{10, 11, 12};
  std::vector<double> scratch;
  EXPECT_EQ(softmax_pick(costs, 0.5, 0.66523, scratch), 0U);
  EXPECT_EQ(softmax_pick(costs, 0.5, 0.66525, scratch), 1U);
  EXPECT_EQ(softmax_pick(costs, 0.5, 0.90996, scratch), 1U);  // 0.66524 + 0.24473 = 0.90997
  EXPECT_EQ(softmax_pick(costs, 0.5, 0.90998, scratch), 2U);
  EXPECT_EQ(softmax_pick(costs, 0.5, std::nextafter(1.0, 0.0), scratch), 2U);
}

TEST(DynamoCost, SoftmaxOfEqualCostsIsEven) {
  const std::array<double, 4> costs{7, 7, 7, 7};
  std::vector<double> scratch;
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(softmax_pick(costs, 0.1, 0.25 * static_cast<double>(i) + 0.1, scratch), i);
}

// --- Load ----------------------------------------------------------------------------------------

std::vector<BlockHash> prompt(std::uint64_t content, std::size_t blocks) {
  std::vector<BlockHash> out;
  for (std::size_t i = 0; i < blocks; ++i) out.push_back(mix64(1 + content * 1000 + i));
  return out;
}

TEST(DynamoLoad, CountsSharedBlocksOnceUntilTheLastOfTheirRequestsEnds) {
  DynamoLoad load(2, 1);
  const auto ten = prompt(1, 10);
  const std::span<const BlockHash> hashes = ten;
  load.add(1, {.replica = 0, .hashes = hashes.first(6)});
  load.add(2, {.replica = 0, .hashes = hashes});
  EXPECT_EQ(load.blocks(0, 0), 10);
  EXPECT_EQ(load.blocks(0, 1), 0);
  std::vector<std::int32_t> shared;
  load.match(0, hashes.first(8), shared);
  EXPECT_EQ(shared, (std::vector<std::int32_t>{8, 0}));
  load.ended(2);
  EXPECT_EQ(load.blocks(0, 0), 6);
  load.ended(1);
  EXPECT_EQ(load.blocks(0, 0), 0);
}

TEST(DynamoLoad, ReleasesAPromptAtItsFirstTokenOrItsEnd) {
  DynamoLoad load(1, 1);
  load.add(1, {.replica = 0, .prefill_tokens = 100});
  load.add(2, {.replica = 0, .prefill_tokens = 50});
  EXPECT_EQ(load.replicas(0)[0].prefill_tokens, 150);
  load.first_token(1);
  EXPECT_EQ(load.replicas(0)[0].prefill_tokens, 50);
  load.first_token(1);
  load.ended(1);
  EXPECT_EQ(load.replicas(0)[0].prefill_tokens, 50);
  EXPECT_EQ(load.replicas(0)[0].requests, 1);
  load.ended(2);
  EXPECT_EQ(load.replicas(0)[0].prefill_tokens, 0);
  EXPECT_EQ(load.replicas(0)[0].requests, 0);
}

TEST(DynamoLoad, MatchesMoreThanSixtyFourReplicas) {
  DynamoLoad load(100, 1);
  const auto ten = prompt(1, 10);
  const std::span<const BlockHash> hashes = ten;
  for (std::int32_t r = 0; r < 100; ++r)
    load.add(r, {.replica = r, .hashes = hashes.first(static_cast<std::size_t>(r % 11))});
  std::vector<std::int32_t> shared;
  load.match(0, hashes, shared);
  for (std::int32_t r = 0; r < 100; ++r) EXPECT_EQ(shared[static_cast<std::size_t>(r)], r % 11);
}

TEST(RecentBlocks, AreForgottenWhenTheirTimeIsOver) {
  RecentBlocks recent(2, Seconds(10));
  const auto ten = prompt(1, 10);
  recent.insert(1, ten, Seconds(5));
  std::vector<std::int32_t> lengths;
  recent.expire(Seconds(15 - 1e-9));
  recent.match(ten, lengths);
  EXPECT_EQ(lengths, (std::vector<std::int32_t>{0, 10}));
  recent.expire(Seconds(15));
  recent.match(ten, lengths);
  EXPECT_EQ(lengths, (std::vector<std::int32_t>{0, 0}));
  EXPECT_EQ(recent.size(1), 0);
}

TEST(RecentBlocks, AreKeptLongerWhenSentAgain) {
  RecentBlocks recent(1, Seconds(10));
  const auto ten = prompt(1, 10);
  recent.insert(0, ten, Seconds(0));
  recent.insert(0, std::span(ten).first(4), Seconds(6));
  recent.expire(Seconds(10));
  EXPECT_EQ(recent.size(0), 4);
  recent.expire(Seconds(16));
  EXPECT_EQ(recent.size(0), 0);
}

}  // namespace
}  // namespace kvsim
