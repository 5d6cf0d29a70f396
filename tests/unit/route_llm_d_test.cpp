// llm-d's endpoint picker against numbers worked out by hand from spec/llm_d.md sections 2 to 6.
#include <array>

#include "tests/unit/llm_d_cluster.hpp"

namespace kvsim {
namespace {

TEST(LlmD, WeightsOfTheDefaultProfileAreTwoTwoThree) {
  Cluster cluster(2);
  LlmDRouter router({}, cluster.context);
  const auto hashes = prompt(1, 4);
  cluster.ask.input_tokens = 64;
  cluster.ask.prompt_hashes = hashes;
  cluster.views[1].waiting = 9;  // sends the first to replica 0
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 0);
  cluster.views[0].waiting = 1;
  cluster.views[1].waiting = 0;
  cluster.views[0].kv_usage = 0.75;
  cluster.views[1].kv_usage = 0.5;
  // Replica 0: 2*0 + 2*0.25 + 3*4/4 = 3.5; replica 1: 2*1 + 2*0.5 + 3*0 = 3.
  const Decision decision = router.route(cluster.ask, cluster.view());
  EXPECT_EQ(decision.replica, 0);
  EXPECT_EQ(decision.hit_tokens, 64);
  expect_scores({router.scores().begin(), router.scores().end()}, {3.5, 3});
  // Half of the prompt known: replica 0: 0.5 + 3*2/4 = 2, below 3.
  auto half = hashes;
  half[2] = half[3] = 77;
  cluster.ask.prompt_hashes = half;
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 1);
  expect_scores({router.scores().begin(), router.scores().end()}, {2, 3});
}

TEST(LlmD, ScoresAreSummedNotAveragedAndClampedBeforeWeighing) {
  Cluster cluster(2);
  LlmDOptions options;
  options.plugins = {{.type = "load-aware-scorer"}, {.type = "kv-cache-utilization-scorer"}};
  options.profiles = {{.name = "default",
                       .plugins = {{"load-aware-scorer", 4}, {"kv-cache-utilization-scorer", 10}}}};
  LlmDRouter router(options, cluster.context);
  cluster.views[0].kv_usage = 1.25;  // clamped to 0, not -0.25
  cluster.views[1].kv_usage = 0.5;
  (void)router.route(cluster.ask, cluster.view());
  // 4*0.5 + 10*0; 4*0.5 + 10*0.5.
  expect_scores({router.scores().begin(), router.scores().end()}, {2, 7});
}

TEST(LlmD, AScorerWithoutWeightWeighsOne) {
  Cluster cluster(1);
  cluster.views[0].kv_usage = 0.25;
  expect_scores(scores(cluster, "kv-cache-utilization-scorer"), {0.75});
}

TEST(LlmD, TiesAreBrokenAtRandom) {
  Cluster cluster(4);
  LlmDRouter router(one_scorer("queue-scorer"), cluster.context);
  std::array<int, 4> seen{};
  for (int i = 0; i < 4000; ++i)
    ++seen[static_cast<std::size_t>(router.route(cluster.ask, cluster.view()).replica)];
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(LlmD, TheWeightedPickerChoosesInProportionToScores) {
  Cluster cluster(3);
  LlmDOptions options = one_scorer("kv-cache-utilization-scorer");
  options.plugins.push_back({.type = "weighted-random-picker"});
  LlmDRouter router(options, cluster.context);
  cluster.views[0].kv_usage = 0.8;  // 0.2
  cluster.views[1].kv_usage = 0.4;  // 0.6
  cluster.views[2].kv_usage = 1.0;  // 0: never
  std::array<int, 3> seen{};
  for (int i = 0; i < 8000; ++i)
    ++seen[static_cast<std::size_t>(router.route(cluster.ask, cluster.view()).replica)];
  EXPECT_NEAR(seen[0], 2000, 200);
  EXPECT_NEAR(seen[1], 6000, 200);
  EXPECT_EQ(seen[2], 0);
  for (ReplicaView& view : cluster.views) view.kv_usage = 1;  // all zero: uniform
  seen = {};
  for (int i = 0; i < 3000; ++i)
    ++seen[static_cast<std::size_t>(router.route(cluster.ask, cluster.view()).replica)];
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(LlmD, AReplicaThatIsNotReadyIsNoCandidate) {
  Cluster cluster(3);
  cluster.views[0].ready = false;
  cluster.views[1].waiting = 100;
  cluster.views[2].waiting = 200;
  LlmDRouter router(one_scorer("queue-scorer"), cluster.context);
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 1);
  expect_scores({router.scores().begin(), router.scores().end()}, {1, 0});
}

// --- approximate index --------------------------------------------------------------------------

TEST(LlmDApproximate, InsertsWhenARequestIsRouted) {
  Cluster cluster(2);
  LlmDRouter router(one_scorer("prefix-cache-scorer"), cluster.context);
  const auto hashes = prompt(1, 4);
  cluster.ask.prompt_hashes = hashes;
  const std::int32_t first = router.route(cluster.ask, cluster.view()).replica;
  expect_scores({router.scores().begin(), router.scores().end()}, {0, 0});  // not before
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, first);
  EXPECT_EQ(router.scores()[static_cast<std::size_t>(first)], 1.0);
}

TEST(LlmDApproximate, PromptsEqualInTheFirst256BlocksLookEqual) {
  Cluster cluster(1);
  LlmDRouter router(one_scorer("prefix-cache-scorer"), cluster.context);
  EXPECT_EQ(router.hashes().most_blocks, 256);
  auto hashes = prompt(1, 400);
  cluster.ask.input_tokens = 6400;
  cluster.ask.prompt_hashes = hashes;
  (void)router.route(cluster.ask, cluster.view());
  std::fill(hashes.begin() + 256, hashes.end(), BlockHash{5});            // other from block 256 on
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).hit_tokens, 4096);  // 256 * 16
  expect_scores({router.scores().begin(), router.scores().end()}, {1});   // 256 / 256
  hashes[255] = 5;
  (void)router.route(cluster.ask, cluster.view());
  expect_scores({router.scores().begin(), router.scores().end()}, {255.0 / 256});
}

TEST(LlmDApproximate, TheTrailingPartialBlockCounts) {
  Cluster cluster(1);
  LlmDRouter router(one_scorer("prefix-cache-scorer"), cluster.context);
  EXPECT_TRUE(router.hashes().partial_tail);
  auto hashes = prompt(1, 3);  // 40 tokens: 16 + 16 + 8
  cluster.ask.input_tokens = 40;
  cluster.ask.prompt_hashes = hashes;
  (void)router.route(cluster.ask, cluster.view());
  hashes[2] = 9;  // another tail: 2 of 3 blocks
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).hit_tokens, 32);
  expect_scores({router.scores().begin(), router.scores().end()}, {2.0 / 3});
  // The same prompt again: 3 of 3 blocks, which are not more tokens than there are.
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).hit_tokens, 40);
}

TEST(LlmDApproximate, BlocksAreCharacters) {
  Cluster cluster(1);
  const auto need = [&](const Json& parameters) {
    return LlmDRouter(one_scorer("prefix-cache-scorer", parameters), cluster.context).hashes();
  };
  EXPECT_EQ(need(Json::object()).block_tokens,
            HashNeed::kEngineBlocks);                               // 64 characters: 16 tokens
  EXPECT_EQ(need({{"characters_per_token", 2}}).block_tokens, 32);  // 64 / 2
  EXPECT_EQ(need({{"auto_tune", false}, {"block_tokens", 64}}).block_tokens, 64);
  EXPECT_EQ(need({{"max_prefix_tokens", 1600}}).most_blocks, 100);  // 1600 / 16
}

TEST(LlmDApproximate, TheOldestBlocksAreForgotten) {
  Cluster cluster(1);
  const Json small = {{"auto_tune", false}, {"lru_blocks_per_replica", 4}};
  LlmDRouter router(one_scorer("prefix-cache-scorer", small), cluster.context);
  const auto first = prompt(1, 4);
  const auto second = prompt(100, 1);
  cluster.ask.prompt_hashes = first;
  (void)router.route(cluster.ask, cluster.view());
  cluster.ask.prompt_hashes = second;
  (void)router.route(cluster.ask, cluster.view());  // takes the place of the first block
  cluster.ask.prompt_hashes = first;
  (void)router.route(cluster.ask, cluster.view());
  expect_scores({router.scores().begin(), router.scores().end()}, {0});
}

TEST(LlmDApproximate, ALostReplicaIsForgotten) {
  Cluster cluster(1);
  LlmDRouter router(one_scorer("prefix-cache-scorer"), cluster.context);
  const auto hashes = prompt(1, 4);
  cluster.ask.prompt_hashes = hashes;
  (void)router.route(cluster.ask, cluster.view());
  router.lost(0);
  (void)router.route(cluster.ask, cluster.view());
  expect_scores({router.scores().begin(), router.scores().end()}, {0});
}

TEST(LlmDApproximate, AProducerGivesTheScorerItsOptions) {
  Cluster cluster(1);
  LlmDOptions options = one_scorer("prefix-cache-scorer");
  options.plugins.push_back(
      {.type = "approx-prefix-cache-producer", .parameters = {{"max_prefix_blocks", 7}}});
  EXPECT_EQ(LlmDRouter(options, cluster.context).hashes().most_blocks, 7);
}

// --- filters ------------------------------------------------------------------------------------

TEST(LlmDFilters, ByLabelKeepsThePools) {
  Cluster cluster(3);
  cluster.context.replicas[1].pool = "b";
  LlmDOptions options = one_scorer("by-label", {{"pools", {"b"}}});
  LlmDRouter router(options, cluster.context);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 1);
  cluster.views[1].ready = false;  // none left: the real picker answers with an error
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, Decision::kRefuse);
}

TEST(LlmDFilters, SaturatedReplicasAreLeftOutUnlessAllAre) {
  Cluster cluster(3);
  cluster.views[0].waiting = 5;     // not below 5
  cluster.views[1].kv_usage = 0.8;  // not below 0.8
  cluster.views[2].waiting = 4;
  LlmDRouter router(one_scorer("utilization-detector"), cluster.context);
  (void)router.route(cluster.ask, cluster.view());
  ASSERT_EQ(router.candidates().size(), 1U);
  EXPECT_EQ(router.candidates()[0], 2);
  cluster.views[2].waiting = 5;
  (void)router.route(cluster.ask, cluster.view());
  EXPECT_EQ(router.candidates().size(), 3U);
  // Headroom 0.5: below 7.5 and below 1.2.
  LlmDRouter wide(one_scorer("utilization-detector", {{"headroom", 0.5}}), cluster.context);
  cluster.views[0].waiting = 8;
  (void)wide.route(cluster.ask, cluster.view());
  EXPECT_EQ(wide.candidates().size(), 2U);
}

TEST(LlmDFilters, PrefixAffinityKeepsThoseThatHoldMostOfThePrompt) {
  Cluster cluster(3);
  LlmDOptions options = one_scorer("prefix-cache-affinity-filter", {{"exploration", 0}});
  options.plugins.push_back({.type = "queue-scorer"});
  LlmDRouter router(options, cluster.context);
  auto hashes = prompt(1, 10);
  cluster.ask.prompt_hashes = hashes;
  cluster.views[0].waiting = cluster.views[2].waiting = 1;
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 1);
  EXPECT_EQ(router.candidates().size(), 3U);  // nobody holds it yet
  cluster.views[1].waiting = 99;
  hashes[8] = hashes[9] = 3;  // 8 of 10 blocks: at the threshold
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 1);
  EXPECT_EQ(router.candidates().size(), 1U);
  hashes[7] = 4;  // 7 of 10
  EXPECT_NE(router.route(cluster.ask, cluster.view()).replica, 1);
  EXPECT_EQ(router.candidates().size(), 3U);
}

TEST(LlmDFilters, PrefixAffinityBacksOffWhenTheMatchIsTooSlow) {
  Cluster cluster(2);
  for (ReplicaFacts& facts : cluster.context.replicas) facts.prefill_tokens_per_s = 1000;
  const Json parameters = {{"exploration", 0}, {"max_ttft_penalty_s", 2}};
  LlmDOptions options = one_scorer("prefix-cache-affinity-filter", parameters);
  options.plugins.push_back({.type = "queue-scorer"});
  LlmDRouter router(options, cluster.context);
  const auto hashes = prompt(1, 10);
  cluster.ask.prompt_hashes = hashes;
  cluster.ask.input_tokens = 160;
  cluster.views[1].waiting = 1;
  EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, 0);
  // Replica 0: 2160 / 1000 + 0; replica 1: 160 / 1000: exactly 2 s slower.
  cluster.views[0].prefill_tokens = 2160;
  (void)router.route(cluster.ask, cluster.view());
  EXPECT_EQ(router.candidates().size(), 1U);
  cluster.views[0].prefill_tokens = 2170;
  (void)router.route(cluster.ask, cluster.view());
  EXPECT_EQ(router.candidates().size(), 2U);
}

TEST(LlmDFilters, SloHeadroomKeepsThoseThatMeetIt) {
  Cluster cluster(3);
  for (ReplicaFacts& facts : cluster.context.replicas) facts.prefill_tokens_per_s = 1000;
  LlmDRouter router(one_scorer("slo-headroom-tier-filter", {{"ttft_s", 1}, {"exploration", 0}}),
                    cluster.context);
  cluster.ask.input_tokens = 500;
  cluster.views[0].prefill_tokens = 500;  // 1 s
  cluster.views[1].prefill_tokens = 501;  // 1.001 s
  cluster.views[2].prefill_tokens = 0;
  (void)router.route(cluster.ask, cluster.view());
  EXPECT_EQ(std::vector<std::int32_t>(router.candidates().begin(), router.candidates().end()),
            (std::vector<std::int32_t>{0, 2}));
}

// --- profiles and mistakes ----------------------------------------------------------------------

TEST(LlmD, EachRoleTakesItsProfile) {
  Cluster cluster(2);
  LlmDOptions options;
  options.plugins = {{.type = "queue-scorer"}, {.type = "running-requests-size-scorer"}};
  options.profiles = {{.name = "prefill", .plugins = {{"queue-scorer"}}},
                      {.name = "decode", .plugins = {{"running-requests-size-scorer"}}}};
  cluster.views[0].waiting = 5;
  cluster.views[1].running = 5;
  const auto choice = [&](Role role) {
    cluster.context.role = role;
    return LlmDRouter(options, cluster.context).route(cluster.ask, cluster.view()).replica;
  };
  EXPECT_EQ(choice(Role::kPrefill), 1);
  EXPECT_EQ(choice(Role::kDecode), 0);
  EXPECT_EQ(choice(Role::kAggregated), 1);  // neither named default: the first
}

TEST(LlmD, TwoScorersOfOneTypeAreToldApartByName) {
  Cluster cluster(1);
  cluster.views[0].waiting = 5;
  LlmDOptions options;
  options.plugins = {{.type = "load-aware-scorer", .name = "x", .parameters = {{"threshold", 10}}},
                     {.type = "load-aware-scorer", .name = "y", .parameters = {{"threshold", 20}}}};
  options.profiles = {{.name = "default", .plugins = {{"x", 1}, {"y", 2}}}};
  LlmDRouter router(options, cluster.context);
  (void)router.route(cluster.ask, cluster.view());
  // 0.5*(1-5/10) + 2*0.5*(1-5/20).
  expect_scores({router.scores().begin(), router.scores().end()}, {1.0});
}

TEST(LlmD, MistakesInTheConfigurationAreTold) {
  Cluster cluster(1);
  const auto complaint = [&](const LlmDOptions& options) -> std::string {
    try {
      LlmDRouter router(options, cluster.context);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(complaint(one_scorer("quue-scorer")).find("/plugins/0/type"), std::string::npos);
  EXPECT_NE(complaint(one_scorer("queue-scorer", {{"treshold", 1}})).find("treshold"),
            std::string::npos);
  LlmDOptions dangling = one_scorer("queue-scorer");
  dangling.profiles = {{.name = "default", .plugins = {{"other"}}}};
  EXPECT_NE(complaint(dangling).find("other"), std::string::npos);
  LlmDOptions pickers = one_scorer("random-picker");
  pickers.plugins.push_back({.type = "max-score-picker"});
  EXPECT_NE(complaint(pickers).find("more than one picker"), std::string::npos);
}

// --- precise index ------------------------------------------------------------------------------

class LlmDPrecise : public testing::Test {
 protected:
  LlmDPrecise() {
    cluster_.index = &index_;
    cluster_.ask.input_tokens = 170;  // ten full blocks of 16 and a rest
    cluster_.ask.prompt_hashes = hashes_;
  }
  void hold(std::int32_t replica, std::size_t tier, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) index_.add(replica, tier, hashes_[i]);
  }
  std::vector<BlockHash> hashes_ = prompt(1, 10);
  KvIndex index_{{.replicas = 3}};
  Cluster cluster_{3};
};

TEST_F(LlmDPrecise, BlocksAreWeightedByTier) {
  hold(0, 0, 0, 5);   // 5 * 1.0 / 10
  hold(1, 0, 0, 5);   // 5 * 1.0 + 3 * 0.8 = 7.4 / 10
  hold(1, 1, 5, 8);   //
  hold(2, 1, 0, 10);  // 10 * 0.8 / 10
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer"), {0.5, 0.74, 0.8});
}

TEST_F(LlmDPrecise, TheChainMustStartAtTheFirstBlock) {
  hold(0, 0, 1, 10);
  hold(1, 0, 0, 3);
  hold(1, 0, 4, 10);
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer"), {0, 0.3, 0});
}

TEST_F(LlmDPrecise, TheBetterTierCounts) {
  hold(0, 0, 0, 10);
  hold(0, 1, 0, 10);
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer"), {1, 0, 0});
}

TEST_F(LlmDPrecise, StorageIsScoredOnlyIfAsked) {
  hold(0, 0, 0, 2);
  hold(0, 2, 2, 10);
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer"), {0.2, 0, 0});
  // 2 * 1 + 8 * 0.5.
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer",
                       {{"score_storage", true}, {"other_weight", 0.5}}),
                {0.6, 0, 0});
}

TEST_F(LlmDPrecise, OldVersionsStretchScoresOverTheReplicas) {
  hold(0, 0, 0, 2);
  hold(1, 0, 0, 4);
  hold(2, 0, 0, 3);
  const Json old = {{"min_max_normalised", true}};
  // (2-2)/(4-2), (4-2)/2, (3-2)/2.
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer", old), {0, 1, 0.5});
  hold(0, 0, 2, 4);
  hold(2, 0, 3, 4);
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer", old), {1, 1, 1});
}

// llm-d-inference-scheduler 2202f3ca, pkg/plugins/scorer/utils.go: replicas without a block are not
// among those whose least and most count.
TEST_F(LlmDPrecise, OldVersionsStretchScoresOverReplicasThatHoldAPart) {
  hold(0, 0, 0, 2);
  hold(1, 0, 0, 4);
  const Json old = {{"min_max_normalised", true}};
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer", old), {0, 1, 0});
  hold(0, 0, 2, 4);
  expect_scores(scores(cluster_, "precise-prefix-cache-scorer", old), {1, 1, 0});
}

TEST_F(LlmDPrecise, SpeculativeEntriesLiveTwoSeconds) {
  LlmDRouter router(one_scorer("precise-prefix-cache-scorer", {{"speculative_indexing", true}}),
                    cluster_.context);
  const std::int32_t first = router.route(cluster_.ask, cluster_.view()).replica;
  const auto share = [&](Seconds now) {
    cluster_.now = now;
    // Another prompt in between would add to others; asking again adds to the same replica.
    LlmDRouter reader(one_scorer("precise-prefix-cache-scorer"), cluster_.context);
    (void)reader.route(cluster_.ask, cluster_.view());
    return reader.scores()[static_cast<std::size_t>(first)];
  };
  EXPECT_EQ(share(Seconds(1.999)), 1.0);
  cluster_.now = Seconds(2);
  const auto other = prompt(500, 10);
  cluster_.ask.prompt_hashes = other;  // a lookup at 2 s drops what has expired
  (void)router.route(cluster_.ask, cluster_.view());
  cluster_.ask.prompt_hashes = hashes_;
  EXPECT_EQ(share(Seconds(2)), 0.0);
}

TEST_F(LlmDPrecise, ARemoteIndexCostsARoundTrip) {
  const auto time = [&](const Json& parameters) {
    const LlmDOptions options = one_scorer("precise-prefix-cache-scorer", parameters);
    return LlmDRouter(options, cluster_.context).lookup_time().count();
  };
  EXPECT_NEAR(time(Json::object()), 0, 1e-12);
  EXPECT_NEAR(time({{"index_backend", "redis"}, {"index_round_trip_s", 5e-4}}), 5e-4, 1e-12);
}

TEST_F(LlmDPrecise, BothIndicesShareTheEnginesBlocks) {
  LlmDOptions options = one_scorer("precise-prefix-cache-scorer");
  options.plugins.push_back(
      {.type = "prefix-cache-scorer",
       .parameters = {{"auto_tune", false}, {"block_tokens", 64}, {"max_prefix_blocks", 10}}});
  LlmDRouter router(options, cluster_.context);
  EXPECT_TRUE(router.needs_events());
  EXPECT_EQ(router.hashes().block_tokens, HashNeed::kEngineBlocks);
  EXPECT_EQ(router.hashes().most_blocks, 0);
  EXPECT_EQ(router.index_most_replicas(), 10);
}

}  // namespace
}  // namespace kvsim
