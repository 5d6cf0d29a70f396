// Autoscalers of Kubernetes and llm-d against numbers worked out by hand: autoscaling/v2's rules,
// spec/llm_d.md section 10; and the load predictor.
#include "sim/frontend/scale_predictor.hpp"
#include "sim/frontend/scale_queue.hpp"
#include "tests/unit/autoscalers.hpp"

namespace kvsim {
namespace {

// -- Kubernetes -----------------------------------------------------------------------------------

const Json kHpa = {{"kind", "hpa"}, {"target", 10}, {"scale_down_stabilisation_s", 0}};

struct HpaRow {
  const char* what;
  std::int64_t ready;
  std::int64_t waiting;  // of each
  std::int64_t starting;
  std::int64_t wanted;
  std::int64_t expected;
};

TEST(Hpa, FollowsTheFormula) {
  const HpaRow rows[] = {
      {"20 / 10 of 3", 3, 20, 0, 3, 6},
      {"rounds up: 2 * 1.2", 2, 12, 0, 2, 3},
      {"10 % too much is near enough", 20, 10, 0, 20, 20},
      {"shrinks: 4 * 0.2", 4, 2, 0, 4, 1},
      {"at most twice, or four more: 5, not 10", 1, 100, 0, 1, 5},
      {"at most twice: 16, not 32", 8, 40, 0, 8, 16},
      {"no load: the bound", 3, 0, 0, 3, 1},
      {"those that start take their part: 40 / (10 * 4) = 1", 2, 20, 2, 4, 4},
      {"more than they will take: ceil(2 * 3)", 2, 30, 1, 3, 6},
      {"with them it would be too many: stays", 2, 12, 2, 4, 4},
      {"switched off", 0, 0, 0, 0, 0},
  };
  for (const HpaRow& row : rows) {
    PoolMetrics pool = pool_of(row.ready, {.waiting = row.waiting});
    pool.starting = row.starting;
    EXPECT_EQ(decided(*make_scaler(kHpa), pool, 0, row.wanted), row.expected) << row.what;
  }
}

TEST(Hpa, LeavesRatiosWithinTheTolerance) {
  PoolMetrics pool = pool_of(2, {.waiting = 10});
  pool.replicas[0].waiting = 11;  // 21 / 20
  EXPECT_EQ(decided(*make_scaler(kHpa), pool), 2);
  pool.replicas[0].waiting = 13;  // 23 / 20
  EXPECT_EQ(decided(*make_scaler(kHpa), pool), 3);
}

TEST(Hpa, ReadsTheGaugeThatItIsTold) {
  const PoolMetrics pool = pool_of(4, {.running = 30, .waiting = 2, .kv_usage = 0.8});
  const Json kv = with(kHpa, {{"metric", "kv-usage"}, {"target", 0.5}});
  EXPECT_EQ(decided(*make_scaler(kv), pool), 7);  // ceil(4 * 1.6)
  EXPECT_EQ(decided(*make_scaler(with(kHpa, {{"metric", "running"}, {"target", 20}})), pool), 6);
  EXPECT_EQ(decided(*make_scaler(with(kHpa, {{"metric", "in-flight"}, {"target", 20}})), pool), 7);
}

TEST(Hpa, KeepsToTheBounds) {
  PoolMetrics pool = pool_of(3, {.waiting = 20});
  pool.most = 5;
  EXPECT_EQ(decided(*make_scaler(kHpa), pool), 5);
  pool.least = 2;
  pool.replicas.assign(3, {});
  EXPECT_EQ(decided(*make_scaler(kHpa), pool), 2);
}

TEST(Hpa, ShrinksOnlyToTheMostOfTheLastFiveMinutes) {
  const auto hpa = make_scaler({{"kind", "hpa"}, {"target", 10}});
  EXPECT_EQ(hpa->period(), Seconds(15));
  std::int64_t wanted = 4;
  for (double now = 0; now <= 600; now += 15) {
    // Two replicas' worth from 150 s to 300 s, nothing else.
    const std::int64_t waiting = now >= 150 && now < 300 ? 20 : 0;
    PoolMetrics pool = pool_of(wanted, {});
    pool.replicas[0].waiting = waiting;
    wanted = decided(*hpa, pool, now, wanted);
    EXPECT_EQ(wanted, now < 300 ? 4 : now < 585 ? 2 : 1) << now;
  }
}

const Json kKeda = {{"kind", "keda"}, {"target", 5}, {"scale_down_stabilisation_s", 0}};

TEST(Keda, SharesOutTheQueue) {
  PoolMetrics pool = pool_of(2, {});
  pool.replicas[0].waiting = 23;
  EXPECT_EQ(decided(*make_scaler(kKeda), pool), 5);  // ceil(23 / 5)
  pool = pool_of(3, {});
  pool.replicas[1].waiting = 16;  // 16 / (3 * 5): near enough
  EXPECT_EQ(decided(*make_scaler(kKeda), pool), 3);
  pool.replicas[1].waiting = 6;
  EXPECT_EQ(decided(*make_scaler(kKeda), pool), 2);
}

TEST(Keda, GoesToZeroAfterTheCooldownAndComesBackWhenPolled) {
  const auto keda = make_scaler(kKeda);
  PoolMetrics pool = pool_of(1, {.waiting = 1});
  pool.least = 0;
  EXPECT_EQ(decided(*keda, pool, 0), 1);
  pool.replicas[0].waiting = 0;
  EXPECT_EQ(decided(*keda, pool, 15), 1);
  EXPECT_EQ(decided(*keda, pool, 285), 1);
  EXPECT_EQ(decided(*keda, pool, 300), 0);
  pool = pool_of(0, {});
  pool.least = 0;
  EXPECT_EQ(decided(*keda, pool, 330, 0), 0);
  pool.arrived = 3;
  EXPECT_EQ(decided(*keda, pool, 345, 0), 0);  // polled every 30 s
  pool.arrived = 0;
  EXPECT_EQ(decided(*keda, pool, 360, 0), 1);
}

TEST(Keda, StaysAboveZeroWhereTheBoundSaysSo) {
  const auto keda = make_scaler(kKeda);
  const PoolMetrics pool = pool_of(1, {});
  for (double now = 0; now < 1000; now += 15) EXPECT_EQ(decided(*keda, pool, now), 1);
}

TEST(Static, NeverChanges) {
  EXPECT_EQ(decided(*make_scaler("static"), pool_of(3, {.waiting = 1000})), 3);
}

// -- Load prediction ------------------------------------------------------------------------------

double predicted(const std::string& kind, const std::vector<double>& values) {
  LoadPredictor predictor(kind, 50);
  for (const double value : values) predictor.add(value);
  return predictor.next();
}

TEST(LoadPredictor, ConstantIsTheLastValue) {
  EXPECT_EQ(predicted("constant", {}), 0);
  EXPECT_EQ(predicted("constant", {1, 5, 3}), 3);
}

TEST(LoadPredictor, AutoregressiveFollowsATrendAndRevertsToAMean) {
  EXPECT_EQ(predicted("autoregressive", {1, 2, 3, 4}), 4);  // too few
  EXPECT_NEAR(predicted("autoregressive", {1, 2, 3, 4, 5}), 6, 1e-9);
  EXPECT_NEAR(predicted("autoregressive", {4, 2, 4, 2, 4}), 2, 1e-9);
  EXPECT_NEAR(predicted("autoregressive", {7, 7, 7, 7, 7}), 7, 1e-9);
}

TEST(LoadPredictor, AutoregressiveNeverRunsAwayNorBelowZero) {
  // Doubling would go on to 64; with a factor of at most 1 it grows by the mean step, 31 / 5.
  EXPECT_NEAR(predicted("autoregressive", {1, 2, 4, 8, 16, 32}), 32 + 31.0 / 5, 1e-9);
  EXPECT_EQ(predicted("autoregressive", {50, 40, 30, 20, 5}), 0);
}

TEST(LoadPredictor, ForgetsWhatIsOlderThanItsWindow) {
  LoadPredictor predictor("autoregressive", 5);
  for (const double value : {900, 100, 1, 2, 3, 4, 5}) predictor.add(value);
  EXPECT_NEAR(predictor.next(), 6, 1e-9);
}

// -- llm-d's variant autoscaler -------------------------------------------------------------------

ReplicaQueue::Shape prefills(double seconds, std::int64_t batch, std::int64_t queue) {
  return {.service = {.gamma = Seconds(seconds)},
          .input_tokens = 100,
          .output_tokens = 1,
          .batch = batch,
          .queue = queue};
}

TEST(ReplicaQueue, WithOneServerIsAnOrdinaryQueue) {
  // 10/s served, 5/s come: half busy, wait = 0.5 / (10 - 5).
  const auto state = ReplicaQueue(prefills(0.1, 1, 1000)).at(5);
  EXPECT_NEAR(state.throughput_per_s, 5, 1e-9);
  EXPECT_NEAR(state.in_service, 0.5, 1e-9);
  EXPECT_NEAR(state.wait.count(), 0.1, 1e-9);
  EXPECT_NEAR(state.prefill.count(), 0.1, 1e-9);
}

TEST(ReplicaQueue, WithoutAQueueLosesAsErlangSays) {
  // Two servers of 10/s, 10/s come: 0.5 / (1 + 1 + 0.5) are lost.
  EXPECT_NEAR(ReplicaQueue(prefills(0.1, 2, 0)).at(10).throughput_per_s, 8, 1e-9);
}

TEST(ReplicaQueue, BatchesSlowEachOtherDown) {
  // ITL 10 ms + 1 ms a sequence, 101 tokens, at most two: 1 alone takes 1.1 s, 2 take 1.2 s. With
  // 1 request/s and no queue p = (1, 1.1, 0.66) / 2.76.
  const auto state = ReplicaQueue({.service = {.alpha = Seconds(0.01), .beta = Seconds(0.001)},
                                   .input_tokens = 0,
                                   .output_tokens = 101,
                                   .batch = 2,
                                   .queue = 0})
                         .at(1);
  EXPECT_NEAR(state.throughput_per_s, 2.1 / 2.76, 1e-9);
  EXPECT_NEAR(state.in_service, (1.1 + 2 * 0.66) / 2.76, 1e-9);
  // Mean service time 2.42 / 2.1 = 1.152 s is that of 1.524 sequences.
  EXPECT_NEAR(state.itl.count(), 0.01 + 0.001 * (2.42 / 2.1 - 1) / 0.1, 1e-9);
}

TEST(ReplicaQueue, SurvivesLargeQueues) {
  const auto state = ReplicaQueue(prefills(0.1, 1, 100'000)).at(1000);
  EXPECT_NEAR(state.throughput_per_s, 10, 1e-6);
}

TEST(ReplicaQueue, FindsTheRateThatKeepsThePromise) {
  const ReplicaQueue queue(prefills(0.1, 1, 1000));
  // 1 / (10 - rate) = 0.2.
  EXPECT_NEAR(queue.most_rate(Seconds(0.2), Seconds(0)).value(), 5, 1e-6);
  EXPECT_FALSE(queue.most_rate(Seconds(0.09), Seconds(0)).has_value());
  EXPECT_EQ(queue.most_rate(Seconds(0), Seconds(0)).value(), queue.full_rate());
}

TEST(Wva, WantsTheLeastReplicasThatKeepThePromise) {
  const Json config = {{"kind", "wva"},
                       {"ttft_s", 0.2},
                       {"itl_s", 0},
                       {"max_batch_size", 1},
                       {"gamma_s", 0.1},
                       {"delta_s", 0},
                       {"alpha_s", 0},
                       {"beta_s", 0},
                       {"max_queue_to_batch", 1000},
                       {"scale_down_stabilisation_s", 0}};
  EXPECT_EQ(make_scaler(config)->period(), Seconds(60));
  struct Row {
    const char* what;
    std::int64_t ready, arrived, least, most, expected;
    double ttft;
  };
  const Row rows[] = {
      {"12/s at 5/s each", 2, 720, 1, 100, 3, 0.2}, {"less: shrinks", 4, 240, 1, 100, 1, 0.2},
      {"at most so many", 2, 720, 1, 2, 2, 0.2},    {"nothing comes", 4, 0, 2, 100, 2, 0.2},
      {"cannot be kept", 4, 720, 1, 100, 4, 0.05},
  };
  for (const Row& row : rows) {
    PoolMetrics pool = pool_of(row.ready, {});
    pool.interval = Seconds(60);
    pool.arrived = row.arrived;
    pool.least = row.least;
    pool.most = row.most;
    pool.mean_input_tokens = 100;
    pool.mean_output_tokens = 1;
    EXPECT_EQ(decided(*make_scaler(with(config, {{"ttft_s", row.ttft}})), pool), row.expected)
        << row.what;
  }
}

TEST(Wva, FitsServiceTimesToTheProfile) {
  // The profile is of the model's own form, so that both must say the same.
  const Autoscaler::Context profiled = {
      .profiles = {
          {.prefill = [](std::int64_t t) { return Seconds(0.02 + 5e-6 * static_cast<double>(t)); },
           .decode = [](std::int64_t n,
                        std::int64_t) { return Seconds(0.008 + 2e-4 * static_cast<double>(n)); }}}};
  const Json given = {{"kind", "wva"},   {"alpha_s", 0.008}, {"beta_s", 2e-4},
                      {"gamma_s", 0.02}, {"delta_s", 5e-6},  {"itl_s", 0.015}};
  PoolMetrics pool = pool_of(1, {});
  pool.kv_tokens = 400'000;
  pool.interval = Seconds(60);
  pool.arrived = 6000;
  pool.mean_input_tokens = 1000;
  pool.mean_output_tokens = 200;
  const std::int64_t expected = decided(*make_scaler(given), pool);
  EXPECT_GT(expected, 2);
  EXPECT_EQ(decided(*make_scaler({{"kind", "wva"}, {"itl_s", 0.015}}, profiled), pool), expected);
  EXPECT_EQ(decided(*make_scaler({{"kind", "wva"}, {"itl_s", 0.015}}), pool), 1);  // knows nothing
}

}  // namespace
}  // namespace kvsim
