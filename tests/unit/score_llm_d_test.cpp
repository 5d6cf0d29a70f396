// llm-d's scorers against numbers worked out by hand from spec/llm_d.md section 4; one row a line:
// what replicas have, what they score.
#include "tests/unit/llm_d_cluster.hpp"

namespace kvsim {
namespace {

struct CountRow {
  std::vector<std::int64_t> counts;
  std::vector<double> wanted;
};

TEST(LlmDScorers, QueueIsMinMaxNormalisedOverTheReplicas) {
  const std::vector<CountRow> rows = {
      {{0, 5, 10}, {1, 0.5, 0}},     // (10-0)/10, (10-5)/10, (10-10)/10
      {{3, 4}, {1, 0}},              // a difference of one fills 0..1
      {{7, 7, 7}, {1, 1, 1}},        // all equal
      {{9}, {1}},                    // alone
      {{2, 4, 10}, {1, 0.75, 0}},    // (10-4)/(10-2) = 6/8
      {{1000, 0, 1}, {0, 1, 0.999}}  // (1000-1)/1000
  };
  for (const CountRow& row : rows) {
    Cluster cluster(row.counts.size());
    for (std::size_t i = 0; i < row.counts.size(); ++i) cluster.views[i].waiting = row.counts[i];
    expect_scores(scores(cluster, "queue-scorer"), row.wanted);
  }
}

TEST(LlmDScorers, RunningRequestsAreNormalisedLikeTheQueue) {
  const std::vector<CountRow> rows = {
      {{20, 10, 15}, {0, 1, 0.5}},  // (20-15)/(20-10)
      {{4, 4}, {1, 1}},
  };
  for (const CountRow& row : rows) {
    Cluster cluster(row.counts.size());
    for (std::size_t i = 0; i < row.counts.size(); ++i) cluster.views[i].running = row.counts[i];
    expect_scores(scores(cluster, "running-requests-size-scorer"), row.wanted);
  }
}

TEST(LlmDScorers, KvCacheUtilisationIsWhatIsFree) {
  Cluster cluster(4);
  cluster.views[0].kv_usage = 0;
  cluster.views[1].kv_usage = 0.25;
  cluster.views[2].kv_usage = 1;
  cluster.views[3].kv_usage = 1.5;  // 1 - 1.5 = -0.5, clamped
  expect_scores(scores(cluster, "kv-cache-utilization-scorer"), {1, 0.75, 0, 0});
}

TEST(LlmDScorers, LoadAwareIsNeverAboveAHalf) {
  Cluster cluster(4);
  cluster.views[0].waiting = 0;    // 0.5
  cluster.views[1].waiting = 32;   // 0.5 * (1 - 32/128)
  cluster.views[2].waiting = 128;  // 0.5 * (1 - 1)
  cluster.views[3].waiting = 500;  // min(500, 128)
  expect_scores(scores(cluster, "load-aware-scorer"), {0.5, 0.375, 0, 0});
  // Threshold 10: 0.5 * (1 - min(32, 10)/10) = 0.
  expect_scores(scores(cluster, "load-aware-scorer", {{"threshold", 10}}), {0.5, 0, 0, 0});
}

TEST(LlmDScorers, ActiveRequestsAreRelativeToTheBusiest) {
  Cluster cluster(3);
  cluster.views[0].in_flight = 0;  // idle: 1
  cluster.views[1].in_flight = 2;  // (8-2)/8
  cluster.views[2].in_flight = 8;  // (8-8)/8
  expect_scores(scores(cluster, "active-request-scorer"), {1, 0.75, 0});
  // Idle up to 2; 0.75 * 0.5 is not used, (8-8)/8*0.5 = 0.
  expect_scores(
      scores(cluster, "active-request-scorer", {{"idle_threshold", 2}, {"max_busy_score", 0.5}}),
      {1, 1, 0});
  // Busy replicas score at most 0.5: (8-2)/8*0.5.
  expect_scores(scores(cluster, "active-request-scorer", {{"max_busy_score", 0.5}}), {1, 0.375, 0});
}

TEST(LlmDScorers, EquallyActiveReplicasScoreNothing) {
  Cluster cluster(2);
  for (ReplicaView& view : cluster.views) view.in_flight = 3;  // (3-3)/3
  expect_scores(scores(cluster, "active-request-scorer"), {0, 0});
}

TEST(LlmDScorers, TokenLoadFallsToTheThreshold) {
  Cluster cluster(4);
  cluster.views[0].in_flight_tokens = 0;           // 1
  cluster.views[1].in_flight_tokens = 1'048'576;   // 1 - 2^20/2^22
  cluster.views[2].in_flight_tokens = 4'194'304;   // 1 - 1
  cluster.views[3].in_flight_tokens = 99'999'999;  // beyond the threshold
  expect_scores(scores(cluster, "token-load-scorer"), {1, 0.75, 0, 0});
}

TEST(LlmDScorers, ContextLengthFollowsTheRangeOfThePool) {
  Cluster cluster(4);
  cluster.context.replicas[0].pool = "short";
  cluster.context.replicas[1].pool = "long";
  cluster.context.replicas[2].pool = "none";
  cluster.context.replicas[3].pool = "far";
  const Json ranges = {{"ranges",
                        {{{"pool", "short"}, {"low_tokens", 0}, {"high_tokens", 10'000}},
                         {{"pool", "long"}, {"low_tokens", 7'000}, {"high_tokens", 27'000}},
                         {{"pool", "far"}, {"low_tokens", 0}, {"high_tokens", 2'500}}}}};
  cluster.ask.input_tokens = 5'000;
  expect_scores(
      scores(cluster, "context-length-aware", ranges),
      {0.3 + 0.7 * (0.7 / 2 + 0.3 * 0.5),  // width 10000: 0.7/(1+1); headroom 5000/10000; = 0.65
       0.3 / 3,                            // 2000 below: 0.3/(1+2)
       0.5,                                // no label
       0.3 / 3.5});                        // 2500 above: 0.3/(1+2.5)
  cluster.ask.input_tokens = 10'000;       // both ends belong to the range
  expect_scores(scores(cluster, "context-length-aware", ranges),
                {0.3 + 0.7 * 0.35,                    // headroom 0
                 0.3 + 0.7 * (0.7 / 3 + 0.3 * 0.85),  // width 20000; headroom 17000/20000
                 0.5, 0.3 / 8.5});
}

TEST(LlmDScorers, ARangeWithoutWidthIsTheUsersMistake) {
  Cluster cluster(1);
  const Json ranges = {{"ranges", {{{"pool", "a"}, {"low_tokens", 5}, {"high_tokens", 5}}}}};
  EXPECT_THROW(scores(cluster, "context-length-aware", ranges), ConfigError);
}

TEST(LlmDScorers, LoraAffinityIsNeutral) {
  Cluster cluster(2);
  expect_scores(scores(cluster, "lora-affinity-scorer"), {0, 0});
}

TEST(LlmDScorers, ASessionGoesBackToItsReplica) {
  Cluster cluster(3);
  LlmDRouter router(one_scorer("session-affinity-scorer"), cluster.context);
  cluster.ask.session = 0;
  const std::int32_t home = router.route(cluster.ask, cluster.view()).replica;
  expect_scores({router.scores().begin(), router.scores().end()}, {0, 0, 0});  // no token yet
  for (int turn = 0; turn < 5; ++turn)
    EXPECT_EQ(router.route(cluster.ask, cluster.view()).replica, home);
  EXPECT_EQ(router.scores()[static_cast<std::size_t>(home)], 1.0);
  cluster.ask.session = -1;
  (void)router.route(cluster.ask, cluster.view());
  expect_scores({router.scores().begin(), router.scores().end()}, {0, 0, 0});
}

TEST(LlmDScorers, ColdRequestsGoWhereTheLastColdOneIsLongestAgo) {
  Cluster cluster(3);
  LlmDRouter router(one_scorer("no-hit-lru-scorer"), cluster.context);
  const auto cold = [&](std::uint64_t group) {
    const auto hashes = prompt(group * 1000 + 1, 4);
    cluster.ask.prompt_hashes = hashes;
    return router.route(cluster.ask, cluster.view()).replica;
  };
  EXPECT_EQ(cold(1), 0);  // nobody used: 1 - 0/2, 1 - 1/2, 1 - 2/2
  expect_scores({router.scores().begin(), router.scores().end()}, {1, 0.5, 0});
  EXPECT_EQ(cold(2), 1);  // never used 1 and 2 first: 0, 1, 0.5
  expect_scores({router.scores().begin(), router.scores().end()}, {0, 1, 0.5});
  EXPECT_EQ(cold(3), 2);
  EXPECT_EQ(cold(4), 0);  // round again
  (void)cold(4);          // a hit on replica 0: 0.5 for all, and the order stays
  expect_scores({router.scores().begin(), router.scores().end()}, {0.5, 0.5, 0.5});
  EXPECT_EQ(cold(5), 1);
}

TEST(LlmDScorers, AloneAReplicaIsTheFirstForColdRequests) {
  Cluster cluster(1);
  expect_scores(scores(cluster, "no-hit-lru-scorer"), {1});
}

}  // namespace
}  // namespace kvsim
