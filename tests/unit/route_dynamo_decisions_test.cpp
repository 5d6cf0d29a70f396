// Where Dynamo's KV router sends requests, and what makes it change its mind.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

std::vector<BlockHash> prompt(std::uint64_t content, std::size_t blocks = 10) {
  std::vector<BlockHash> out;
  for (std::size_t i = 0; i < blocks; ++i) out.push_back(mix64(1 + content * 1000 + i));
  return out;
}

// A router over replicas of 1,000 blocks of 16 tokens, with an index that tests fill.
class Routing {
 public:
  explicit Routing(std::size_t replicas, Json options = Json::object(),
                   Role role = Role::kAggregated, std::uint64_t seed = 1)
      : index_({.replicas = static_cast<std::int32_t>(replicas)}), views_(replicas) {
    options["kind"] = "dynamo-kv";
    Router::Context context;
    context.seed = seed;
    context.role = role;
    context.replicas.assign(replicas, {.kv_blocks = 1000, .max_batched_tokens = 2000});
    router_ = Registry<Router>::instance().make(ConfigNode(options, "test"), context);
  }

  Decision route(std::int64_t number, const std::vector<BlockHash>& hashes, double now = 0,
                 std::int64_t tail = 0) {
    Ask ask;
    ask.number = number;
    ask.input_tokens = static_cast<std::int64_t>(hashes.size()) * 16 + tail;
    ask.prompt_hashes = hashes;
    return router_->route(ask, {Seconds(now), views_, &index_});
  }
  void cache(std::int32_t replica, std::size_t tier, const std::vector<BlockHash>& hashes) {
    for (const BlockHash hash : hashes) index_.add(replica, tier, hash);
  }

  Router& router() { return *router_; }
  ReplicaView& view(std::size_t replica) { return views_[replica]; }

 private:
  KvIndex index_;
  std::vector<ReplicaView> views_;
  std::unique_ptr<Router> router_;
};

// Replicas that are chosen for one request over many seeds: those that tie.
std::set<std::int32_t> ties(std::size_t replicas, const Json& options,
                            const std::function<void(Routing&)>& prepare = {}) {
  std::set<std::int32_t> out;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Routing routing(replicas, options, Role::kAggregated, seed);
    if (prepare) prepare(routing);
    out.insert(routing.route(99, prompt(9)).replica);
  }
  return out;
}

TEST(DynamoRouting, GoesWhereThePrefixIsCached) {
  Routing routing(4);
  routing.cache(2, 0, prompt(1));
  const Decision decision = routing.route(1, prompt(1));
  EXPECT_EQ(decision.replica, 2);
  EXPECT_EQ(decision.hit_tokens, 160);
}

TEST(DynamoRouting, OldGenerationsSeeHbmOnly) {
  // Replica 1 has all of it in host DRAM: worth 0.75 * 10 blocks to the new generation, to the
  // old less than one block in HBM of replica 0.
  for (const bool old : {false, true}) {
    Routing routing(2, {{"generation", old ? "old" : "new"}});
    routing.cache(0, 0, prompt(1, 1));
    routing.cache(1, 1, prompt(1));
    const Decision decision = routing.route(1, prompt(1));
    EXPECT_EQ(decision.replica, old ? 0 : 1);
    EXPECT_EQ(decision.hit_tokens, old ? 16 : 120);  // 0.75 * 160
  }
}

TEST(DynamoRouting, PromptsWeighUntilTheirFirstToken) {
  // Blocks are not tracked here. One replica has a prompt of 160 tokens, the other one of 200.
  Routing routing(2, {{"router_track_active_blocks", false}});
  const std::int32_t a = routing.route(1, prompt(1)).replica;
  const std::int32_t b = routing.route(2, prompt(2), 0, 40).replica;
  EXPECT_NE(a, b);
  EXPECT_EQ(routing.route(3, prompt(3, 5)).replica, a);  // 160 against 200; then 240
  routing.router().first_token(1, Seconds(1));
  EXPECT_EQ(routing.route(4, prompt(4)).replica, a);  // 80 against 200; then 240
  routing.router().first_token(2, Seconds(1));
  EXPECT_EQ(routing.route(5, prompt(5)).replica, b);  // 240 against 0
}

TEST(DynamoRouting, BlocksWeighUntilTheEnd) {
  // Prompts weigh nothing here. Replica a gets 10 blocks, b 20: the next goes to a until b's
  // request ends.
  Routing routing(2, {{"router_track_prefill_tokens", false}});
  const std::int32_t a = routing.route(1, prompt(1)).replica;
  const std::int32_t b = routing.route(2, prompt(2, 20)).replica;
  EXPECT_NE(a, b);
  routing.router().first_token(2, Seconds(1));
  const std::int32_t third = routing.route(3, prompt(3, 5)).replica;  // a: 15, b: 25
  EXPECT_EQ(third, a);
  routing.router().ended(2, Seconds(2));
  EXPECT_EQ(routing.route(4, prompt(4)).replica, b);  // a: 15 + 10, b: 10
}

TEST(DynamoRouting, ActiveBlocksOfOneContentCountOnce) {
  // Prompts weigh nothing. Replica a holds prompt 1 (10 blocks), b prompt 2 (9): one more of prompt
  // 1 adds nothing to a, 10 to b.
  Routing routing(2, {{"router_track_prefill_tokens", false}});
  const std::int32_t a = routing.route(1, prompt(1)).replica;
  const std::int32_t b = routing.route(2, prompt(2, 9)).replica;
  EXPECT_NE(a, b);
  EXPECT_EQ(routing.route(3, prompt(1)).replica, a);  // 10 against 19
}

TEST(DynamoRouting, WithoutReuseTheyCountEachTime) {
  Routing routing(2, {{"router_track_prefill_tokens", false}, {"router_assume_kv_reuse", false}});
  const std::int32_t a = routing.route(1, prompt(1)).replica;
  const std::int32_t b = routing.route(2, prompt(2, 9)).replica;
  EXPECT_NE(a, b);
  EXPECT_EQ(routing.route(3, prompt(1)).replica, b);  // 20 against 19
}

TEST(DynamoRouting, WithoutEventsItsOwnDecisionsCountUntilTheirTimeIsOver) {
  const Json options = {{"use_kv_events", false}, {"router_ttl_secs", 120}};
  for (const bool over : {false, true}) {
    Routing routing(4, options);
    routing.cache(3, 0, prompt(1));  // what it must not see
    const std::int32_t home = routing.route(1, prompt(1), 10).replica;
    routing.router().ended(1, Seconds(11));
    const Decision again = routing.route(2, prompt(1), over ? 130 : 130 - 1e-9);
    EXPECT_EQ(again.hit_tokens, over ? 0 : 160);
    if (!over) {
      EXPECT_EQ(again.replica, home);
    }
  }
  EXPECT_FALSE(Routing(1, options).router().needs_events());
  EXPECT_TRUE(Routing(1).router().needs_events());
}

TEST(DynamoRouting, AReplicaThatLostItsCacheIsForgotten) {
  Routing routing(1, {{"use_kv_events", false}});
  (void)routing.route(1, prompt(1));
  routing.router().lost(0);
  EXPECT_EQ(routing.route(2, prompt(1)).hit_tokens, 0);
}

TEST(DynamoRouting, PredictionsFillInUntilEventsCome) {
  Routing routing(3, {{"router_predicted_ttl_secs", 2}});
  const std::int32_t home = routing.route(1, prompt(1), 0).replica;
  routing.router().ended(1, Seconds(1));
  const Decision soon = routing.route(2, prompt(1), 1.999);
  EXPECT_EQ(soon.replica, home);
  EXPECT_EQ(soon.hit_tokens, 160);
  routing.router().ended(2, Seconds(2));
  EXPECT_EQ(routing.route(3, prompt(1), 4).hit_tokens, 0);
}

TEST(DynamoRouting, OldAndNewDrawTies) {
  EXPECT_EQ(ties(3, {{"generation", "old"}}), (std::set<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(ties(3, {{"generation", "new"}}), (std::set<std::int32_t>{0, 1, 2}));
}

TEST(DynamoRouting, TiesOfMidGoToTheSmallestTree) {
  // Trees of 4, 2 and 2 blocks, of other prompts.
  const auto fill = [](Routing& routing) {
    routing.cache(0, 0, prompt(1, 4));
    routing.cache(1, 0, prompt(2, 2));
    routing.cache(2, 0, prompt(3, 2));
  };
  EXPECT_EQ(ties(3, {{"generation", "mid"}}, fill), (std::set<std::int32_t>{1, 2}));
  EXPECT_EQ(ties(3, {{"generation", "old"}}, fill), (std::set<std::int32_t>{0, 1, 2}));
}

TEST(DynamoRouting, ATemperatureSpreadsWhatWouldGoToOne) {
  // Costs 10 where cached, 20 elsewhere: range 10, temperature 1: weights 1, 1/e; 0.731 of 2.
  const auto fill = [](Routing& routing) { routing.cache(0, 0, prompt(9)); };
  int home = 0;
  constexpr int kSeeds = 2000;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Routing routing(2, {{"router_temperature", 1}}, Role::kAggregated, seed);
    fill(routing);
    home += routing.route(1, prompt(9)).replica == 0 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(home) / kSeeds, 0.731, 0.05);  // five deviations
  EXPECT_EQ(ties(2, {{"router_temperature", 0}}, fill), (std::set<std::int32_t>{0}));
}

TEST(DynamoRouting, ReplicasThatAreNotReadyAreNeverChosen) {
  Routing routing(3);
  routing.cache(1, 0, prompt(1));
  routing.view(1).ready = false;
  for (std::int64_t i = 0; i < 20; ++i) EXPECT_NE(routing.route(i, prompt(1)).replica, 1);
}

TEST(DynamoRouting, BusyReplicasAreLeftOutAndNoneLeftIsRefused) {
  // Above 160 tokens, that is from the second prompt of 160 on.
  for (const Json& options : {Json{{"active_prefill_tokens_threshold", 160}},
                              Json{{"active_prefill_tokens_threshold_frac", 0.08}}}) {  // of 2,000
    Routing routing(2, options);
    routing.cache(0, 0, prompt(9, 1));
    for (std::int64_t i = 0; i < 4; ++i)
      EXPECT_NE(routing.route(i, prompt(static_cast<std::uint64_t>(i))).replica, -1) << options;
    EXPECT_EQ(routing.route(4, prompt(9)).replica, Decision::kRefuse) << options;
    routing.router().first_token(0, Seconds(1));
    EXPECT_NE(routing.route(5, prompt(9)).replica, Decision::kRefuse) << options;
  }
}

TEST(DynamoRouting, ActiveBlocksMakeBusyToo) {
  Routing routing(1, {{"active_decode_blocks_threshold", 0.01}});  // 10 of 1,000 blocks
  EXPECT_EQ(routing.route(1, prompt(1)).replica, 0);
  EXPECT_EQ(routing.route(2, prompt(1, 11)).replica, 0);  // 10 are not above 10
  EXPECT_EQ(routing.route(3, prompt(1)).replica, Decision::kRefuse);
  routing.router().first_token(2, Seconds(1));
  EXPECT_EQ(routing.route(4, prompt(1)).replica, Decision::kRefuse);
  routing.router().ended(2, Seconds(2));
  EXPECT_EQ(routing.route(5, prompt(1)).replica, 0);
}

TEST(DynamoRouting, ADecodeRouterCountsBlocksAloneButTellsWhatIsCached) {
  Routing routing(2, Json::object(), Role::kDecode);
  routing.cache(0, 0, prompt(1));
  routing.cache(1, 0, prompt(1, 4));
  const Decision first = routing.route(1, prompt(1));
  // 10 blocks against none, although all of it is active there.
  const Decision second = routing.route(2, prompt(1));
  EXPECT_NE(first.replica, second.replica);
  for (const Decision& decision : {first, second})
    EXPECT_EQ(decision.hit_tokens, decision.replica == 0 ? 160 : 64);
  routing.router().ended(1, Seconds(2));
  EXPECT_EQ(routing.route(3, prompt(1)).replica, first.replica);
}

TEST(DynamoRouting, APrefillRouterDoesNotTrackBlocks) {
  // After its first token a prompt weighs nothing on a prefill replica, though it has not ended.
  Routing routing(2, Json::object(), Role::kPrefill);
  const std::int32_t first = routing.route(1, prompt(1, 20)).replica;
  routing.router().first_token(1, Seconds(1));
  const std::int32_t second = routing.route(2, prompt(2, 10)).replica;
  // first: nothing, unless it got the second as well
  const std::int32_t idle = second == first ? 1 - first : first;
  EXPECT_EQ(routing.route(3, prompt(3, 10)).replica, idle);
}

// How often one of two idle replicas is given two requests in a row out of 200 equal ones.
int repeats(const Json& options) {
  Routing routing(2, options);
  int out = 0;
  std::int32_t last = -1;
  for (std::int64_t i = 0; i < 200; ++i) {
    const std::int32_t replica = routing.route(i, prompt(static_cast<std::uint64_t>(i))).replica;
    out += i % 2 == 1 && replica == last ? 1 : 0;
    last = replica;
  }
  return out;
}

TEST(DynamoRouting, RoutersThatDoNotSyncHeadForTheSameReplica) {
  EXPECT_EQ(repeats(Json::object()), 0);
  EXPECT_EQ(repeats({{"router_replicas", 4}, {"router_replica_sync", true}}), 0);
  EXPECT_GT(repeats({{"router_replicas", 4}}), 20);
}

TEST(DynamoRouting, ItsBlocksAreTheEnginesUnlessSaidOtherwise) {
  EXPECT_EQ(Routing(1).router().hashes().block_tokens, HashNeed::kEngineBlocks);
  EXPECT_EQ(Routing(1, {{"kv_cache_block_size", 64}}).router().hashes().block_tokens, 64);
}

}  // namespace
}  // namespace kvsim
