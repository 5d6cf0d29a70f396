// Dynamo's planners against numbers worked out by hand from the formulas of spec/dynamo.md
// section 6.
#include "tests/unit/autoscalers.hpp"

namespace kvsim {
namespace {

// -- Dynamo's planner of 2025 ---------------------------------------------------------------------

// Prefill 10,000 tokens/s; a decode step 20 ms and 0.1 ms more for each sequence.
Autoscaler::Context::Profile plain_profile() {
  return {
      .prefill = [](std::int64_t tokens) { return Seconds(static_cast<double>(tokens) / 1e4); },
      .decode = [](std::int64_t sequences,
                   std::int64_t) { return Seconds(0.02 + 1e-4 * static_cast<double>(sequences)); }};
}

// An interval of 180 s: prompts of 1,000 tokens, answers of 101, at most 100 sequences in HBM.
PoolMetrics counted(Role role, std::int64_t arrived, double ttft, double itl,
                    std::int64_t ready = 1) {
  PoolMetrics pool = pool_of(ready, {}, role);
  pool.kv_tokens = 105'050;
  pool.interval = Seconds(180);
  pool.arrived = arrived;
  pool.mean_input_tokens = 1'000;
  pool.mean_output_tokens = 101;
  pool.mean_ttft = Seconds(ttft);
  pool.mean_itl = Seconds(itl);
  return pool;
}

struct SlaRow {
  const char* what;
  std::int64_t arrived;
  double ttft, itl;
  std::int64_t ready;  // of the decode pool
  Json options;
  std::int64_t prefill, decode;
};

TEST(DynamoPlannerSla, FollowsTheFormulas) {
  const Json plain = {{"max_gpu_budget", 1000}, {"correction", false}};
  const Json corrected = {{"max_gpu_budget", 1000}};
  const SlaRow rows[] = {
      // 10.5 requests/s: 10,500 / 10,000; 1,060.5 / (100 / 0.03).
      {"rounds up", 1890, 0.2, 0.05, 1, plain, 2, 1},
      // 110 requests/s: 11.0 (up to rounding), so 109/s: 10.9; 11,009 / 3,333.3 = 3.30.
      {"decode at the full KV cache", 19'620, 0.2, 0.05, 1, plain, 11, 4},
      // 50 sequences at 25 ms: 11,009 / 2,000 = 5.50.
      {"decode bound by ITL", 19'620, 0.2, 0.05, 1, with(plain, {{"itl_s", 0.02505}}), 11, 6},
      // One sequence at 20.1 ms: 49.75 tokens/s; 101 / 49.75 = 2.03.
      {"a promise that no batch keeps", 180, 0.2, 0.05, 1, with(plain, {{"itl_s", 0.001}}), 1, 3},
      // p = 0.05 / 0.1; d: 52 sequences were expected at 25.2 ms and took 50, so that 54 at 25.4 ms
      // are left of 50.5: 10,100 / 2,126 = 4.75.
      {"corrections", 18'000, 0.05, 0.05, 10, with(corrected, {{"itl_s", 0.0505}}), 5, 5},
      // p = 2 counts as 1.
      {"waiting does not add prefills", 1890, 0.2, 0.05, 1, corrected, 2, 1},
      {"at least min_endpoint", 180, 0.1, 0.02, 1, with(plain, {{"min_endpoint", 3}}), 3, 3},
      // 11 and 4: 11 * 6 / 15 = 4.4, the other two.
      {"budget", 19'620, 0.2, 0.05, 1, with(plain, {{"max_gpu_budget", 6}}), 4, 2},
      // 2 and 1: 2 * 2 / 3 = 1.3, the other one.
      {"small budget", 1890, 0.2, 0.05, 1, with(plain, {{"max_gpu_budget", 2}}), 1, 1},
      {"no requests", 0, 0, 0, 4, plain, 7, 4},
  };
  for (const SlaRow& row : rows) {
    const auto planner = make_scaler(with({{"kind", "dynamo-planner-sla"}}, row.options),
                                     {.profiles = {plain_profile(), plain_profile()}});
    Pools pools = {counted(Role::kPrefill, row.arrived, row.ttft, row.itl),
                   counted(Role::kDecode, row.arrived, row.ttft, row.itl, row.ready)};
    if (row.arrived == 0) pools[1].mean_input_tokens = 0;
    Counts wanted = {7, row.ready};
    planner->decide(Seconds(180), pools, wanted);
    EXPECT_EQ(wanted[0], row.prefill) << row.what;
    EXPECT_EQ(wanted[1], row.decode) << row.what;
  }
}

TEST(DynamoPlannerSla, RoundsHalvesOfTheBudgetToEven) {
  // 45 requests/s: 4.5 and 4,545 / 2,000 = 2.3, so 5 and 3, in 4 GPUs: 2.5 is 2 to Python.
  const auto planner = make_scaler({{"kind", "dynamo-planner-sla"},
                                    {"max_gpu_budget", 4},
                                    {"itl_s", 0.02505},
                                    {"correction", false}},
                                   {.profiles = {plain_profile(), plain_profile()}});
  Pools pools = {counted(Role::kPrefill, 8100, 0.1, 0.02), counted(Role::kDecode, 8100, 0.1, 0.02)};
  Counts wanted = {1, 1};
  planner->decide(Seconds(180), pools, wanted);
  EXPECT_EQ(wanted, (Counts{2, 2}));
}

TEST(DynamoPlannerSla, APoolThatDoesBothNeedsBothShares) {
  const auto planner = make_scaler({{"kind", "dynamo-planner-sla"}, {"correction", false}},
                                   {.profiles = {plain_profile()}});
  // 1.8 of prefill (18 requests/s) and 0.5454 of decode.
  EXPECT_EQ(decided(*planner, counted(Role::kAggregated, 3240, 0.2, 0.03), 180), 3);
}

// -- Dynamo's planner of 2026 ---------------------------------------------------------------------

struct LoadRow {
  const char* what;
  const char* target;
  Role role;
  std::vector<Replica> replicas;
  std::int64_t expected;
};

constexpr Role kBoth = Role::kAggregated;
constexpr Role kPrefill = Role::kPrefill;
constexpr Role kDecode = Role::kDecode;

Replica prompts(std::int64_t tokens) { return {.queued_prefill_tokens = tokens}; }
Replica use(double share, std::int64_t queued = 0, std::int64_t waiting_prompts = 0) {
  return {
      .kv_usage = share, .queued_prefill_tokens = waiting_prompts, .queued_decode_tokens = queued};
}

TEST(DynamoPlanner, MovesByOneAtFixedThresholds) {
  const LoadRow rows[] = {
      {"a context queued at one", "throughput", kPrefill, {prompts(10'000), prompts(0)}, 3},
      {"just below", "throughput", kPrefill, {prompts(9'999), prompts(0)}, 2},
      {"all below a tenth", "throughput", kPrefill, {prompts(999), prompts(0)}, 1},
      {"a tenth is not below", "throughput", kPrefill, {prompts(1'000), prompts(0)}, 2},
      {"latency: a tenth", "latency", kPrefill, {prompts(1'000), prompts(0)}, 3},
      {"latency: something queued", "latency", kPrefill, {prompts(1), prompts(0)}, 2},
      {"latency: nothing queued", "latency", kPrefill, {prompts(0), prompts(0)}, 1},
      {"KV over the brim", "throughput", kDecode, {use(0.9, 101), use(0)}, 3},
      {"KV full", "throughput", kDecode, {use(1.0), use(0.2)}, 2},
      {"all below 60 %", "throughput", kDecode, {use(0.5), use(0.59)}, 1},
      {"one at 60 %", "throughput", kDecode, {use(0.5), use(0.6)}, 2},
      {"a decode pool's prompts are not its own",
       "throughput",
       kDecode,
       {use(0.9, 0, 500), use(0.7)},
       2},
      {"a pool that does both counts them", "throughput", kBoth, {use(0.9, 0, 500), use(0.7)}, 3},
      {"latency: above 40 %", "latency", kDecode, {use(0.41), use(0)}, 3},
      {"latency: between", "latency", kDecode, {use(0.4), use(0.1)}, 2},
      {"latency: below 10 %", "latency", kDecode, {use(0.09), use(0.05)}, 1},
      {"the last one stays", "throughput", kBoth, {use(0)}, 1},
  };
  for (const LoadRow& row : rows) {
    const auto planner =
        make_scaler({{"kind", "dynamo-planner"}, {"optimization_target", row.target}});
    EXPECT_EQ(planner->period(), Seconds(5));
    PoolMetrics pool = pool_of(static_cast<std::int64_t>(row.replicas.size()), {}, row.role);
    pool.replicas = row.replicas;
    EXPECT_EQ(decided(*planner, pool, 5), row.expected) << row.what;
  }
}

TEST(DynamoPlanner, TakesThresholdsOfYourOwn) {
  const auto planner = make_scaler({{"kind", "dynamo-planner"},
                                    {"optimization_target", "load"},
                                    {"decode_up", 0.8},
                                    {"decode_down", 0.3}});
  EXPECT_EQ(decided(*planner, pool_of(2, use(0.81)), 5), 3);
  EXPECT_EQ(decided(*planner, pool_of(2, use(0.5)), 10), 2);
  EXPECT_EQ(decided(*planner, pool_of(2, use(0.29)), 15), 1);
}

TEST(DynamoPlanner, DoesNothingWhileAnActionIsUnderWay) {
  const auto planner = make_scaler({{"kind", "dynamo-planner"}});
  const PoolMetrics full = pool_of(2, use(1.5));
  EXPECT_EQ(decided(*planner, full, 5, 2), 3);
  for (double now = 10; now < 1810; now += 5) EXPECT_EQ(decided(*planner, full, now, 3), 3) << now;
  // From what is there, 2.
  EXPECT_EQ(decided(*planner, full, 1810, 4), 3);
  // It has come: the next may follow.
  EXPECT_EQ(decided(*planner, pool_of(3, use(1.5)), 1815, 3), 4);
}

TEST(DynamoPlanner, KeepsToBudgetAndLeast) {
  const Json config = {{"kind", "dynamo-planner"}, {"min_endpoint", 2}};
  PoolMetrics pool = pool_of(4, use(1.5));
  pool.gpus_per_replica = 2;
  EXPECT_EQ(decided(*make_scaler(config), pool, 5), 4);  // 8 GPUs
  EXPECT_EQ(decided(*make_scaler(with(config, {{"max_gpu_budget", 10}})), pool, 5), 5);
  EXPECT_EQ(decided(*make_scaler(with(config, {{"max_gpu_budget", -1}})), pool, 5), 5);
  EXPECT_EQ(decided(*make_scaler(with(config, {{"max_gpu_budget", 3}})), pool, 5), 0);
  EXPECT_EQ(decided(*make_scaler(config), pool_of(2, use(0)), 5), 2);
}

TEST(DynamoPlanner, CutsPrefillAndDecodeInProportion) {
  const auto planner = make_scaler({{"kind", "dynamo-planner"}});
  Pools pools = {pool_of(3, prompts(20'000), kPrefill), pool_of(4, use(2), kDecode)};
  Counts wanted = {3, 4};
  planner->decide(Seconds(5), pools, wanted);
  EXPECT_EQ(wanted, (Counts{3, 5}));  // 4 and 5 in 8: floor(4 * 8 / 9) = 3, the other 5
}

// Linear, so that the fit is exact: a pass of t prompt tokens takes 10 ms + 0.1 ms t, a decode step
// 20 ms + 1 us for each token of context.
Autoscaler::Context::Profile linear_profile() {
  return {
      .prefill =
          [](std::int64_t tokens) { return Seconds(0.01 + 1e-4 * static_cast<double>(tokens)); },
      .decode =
          [](std::int64_t, std::int64_t context) {
            return Seconds(0.02 + 1e-6 * static_cast<double>(context));
          }};
}

// Prompts of 500 tokens, answers of 100: a context of 550.
PoolMetrics lengths(PoolMetrics pool, std::int64_t arrived) {
  pool.kv_tokens = 100'000;
  pool.interval = Seconds(5);
  pool.arrived = arrived;
  pool.mean_input_tokens = 500;
  pool.mean_output_tokens = 100;
  return pool;
}

TEST(DynamoPlanner, ComparesEstimatesWithThePromise) {
  const LoadRow rows[] = {
      // 500 more: five passes of 110 ms.
      {"TTFT 0.55 everywhere", "sla", kPrefill, {prompts(4'500), prompts(4'500)}, 3},
      {"TTFT 0.55 at one", "sla", kPrefill, {prompts(4'500), prompts(0)}, 2},
      {"TTFT 0.44", "sla", kPrefill, {prompts(3'500), prompts(3'500)}, 2},
      {"TTFT 0.33, below 80 %", "sla", kPrefill, {prompts(2'500), prompts(2'500)}, 1},
      // 20 ms + (30,000 + 550) us.
      {"ITL 50.55 ms", "sla", kDecode, {use(0.3), use(0.3)}, 3},
      {"ITL 50.55 ms by what is queued", "sla", kDecode, {use(0.2, 10'000), use(0.3)}, 3},
      {"ITL 45.55 ms", "sla", kDecode, {use(0.25), use(0.25)}, 2},
      {"ITL 35.55 ms, below 80 %", "sla", kDecode, {use(0.15), use(0.1)}, 1},
  };
  for (const LoadRow& row : rows) {
    const auto planner = make_scaler({{"kind", "dynamo-planner"}, {"optimization_target", "sla"}},
                                     {.profiles = {linear_profile()}});
    PoolMetrics pool = lengths(pool_of(2, {}, row.role), 1);
    pool.replicas = row.replicas;
    EXPECT_EQ(decided(*planner, pool, 5), row.expected) << row.what;
  }
}

TEST(DynamoPlanner, APoolThatDoesBothGrowsForEitherAndShrinksForBoth) {
  struct Row {
    double ttft, itl;
    std::int64_t expected;
  };
  const Row rows[] = {{0.6, 0.01, 3},  {0.1, 0.06, 3}, {0.45, 0.01, 2},
                      {0.1, 0.045, 2}, {0.1, 0.01, 1}, {0, 0, 2}};
  for (const Row& row : rows) {
    const auto planner = make_scaler({{"kind", "dynamo-planner"}, {"optimization_target", "sla"}});
    const PoolMetrics pool =
        pool_of(2, {.recent_ttft = Seconds(row.ttft), .recent_itl = Seconds(row.itl)});
    EXPECT_EQ(decided(*planner, pool, 5), row.expected) << row.ttft << " " << row.itl;
  }
}

TEST(DynamoPlanner, TheThroughputLoopSetsTheFloor) {
  const auto planner = make_scaler(
      {{"kind", "dynamo-planner"}, {"optimization_target", "sla"}, {"max_gpu_budget", 100}},
      {.profiles = {linear_profile(), linear_profile()}});
  // 51 requests/s. Prefill 60 ms each: 3.06. Decode: 54 sequences at 49.7 ms end 10.87 requests/s:
  // 4.69.
  Pools pools = {lengths(pool_of(6, {}, kPrefill), 255), lengths(pool_of(7, {}, kDecode), 255)};
  Counts wanted = {6, 7};
  for (double now = 5; now <= 240; now += 5) {
    planner->decide(Seconds(now), pools, wanted);
    for (std::size_t i : {0, 1}) {
      pools[i].ready = wanted[i];
      pools[i].replicas.resize(static_cast<std::size_t>(wanted[i]));
    }
    if (now < 30) continue;  // idle engines: one less each time
    EXPECT_EQ(wanted, now < 185 ? (Counts{1, 1}) : (Counts{4, 5})) << now;
  }
}

TEST(DynamoPlanner, WithoutTheLoadLoopTheThroughputLoopDecides) {
  const auto planner = make_scaler(
      {{"kind", "dynamo-planner"}, {"optimization_target", "sla"}, {"enable_load_scaling", false}},
      {.profiles = {linear_profile()}});
  EXPECT_EQ(planner->period(), Seconds(180));
  PoolMetrics pool = lengths(pool_of(1, {}, kPrefill), 9'180);
  EXPECT_EQ(decided(*planner, pool, 180), 4);
  // Late even alone: passes of 60 ms against 25 ms ask for three.
  const auto late = make_scaler({{"kind", "dynamo-planner"},
                                 {"optimization_target", "sla"},
                                 {"ttft_s", 0.025},
                                 {"enable_load_scaling", false}},
                                {.profiles = {linear_profile()}});
  EXPECT_EQ(decided(*late, lengths(pool, 180), 180), 3);
}

TEST(DynamoPlanner, RefusesLoopsThatContradict) {
  const Json sla = {{"kind", "dynamo-planner"}, {"optimization_target", "sla"}};
  EXPECT_THROW(make_scaler(with(sla, {{"load_adjustment_interval_s", 180}})), ConfigError);
  EXPECT_THROW(make_scaler(with(
                   sla, {{"enable_load_scaling", false}, {"enable_throughput_scaling", false}})),
               ConfigError);
}

}  // namespace
}  // namespace kvsim
