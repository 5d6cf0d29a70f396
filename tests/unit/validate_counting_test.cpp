// Counting by hand: four requests whose every number is known.
#include <gtest/gtest.h>

#include "sim/validate/counting.hpp"
#include "tests/unit/request_records.hpp"

namespace kvsim {
namespace {

// Sent at 0, 1, 2 and 8; 100 prompt tokens each, 32 of them in HBM and 16 below.
StageOutcome stage() {
  StageOutcome out;
  out.name = "one";
  out.end = Seconds(12);
  out.duration = Seconds(10);
  out.requests = {completed_record(0, 0, 0.5, 0.1, 11),  // ends at 1.5
                  completed_record(1, 1, 1.0, 0.2, 21),  // ends at 6
                  completed_record(2, 2, 1.5, 0.3, 31),  // ends at 12.5: after the stage
                  tokenless_record(3, 8, 4, Outcome::kUnfinished)};
  return out;
}

class Counting : public testing::Test {
 protected:
  std::optional<double> value(const std::string& metric, const std::string& stat,
                              const std::string& unit) const {
    return measure({&stage_}, rules_, metric, stat, unit);
  }

  StageOutcome stage_ = stage();
  CountingRules rules_{.requests = "sent", .seconds = "span", .metrics = {}};
};

TEST_F(Counting, LatenciesAreMeansAndPercentiles) {
  EXPECT_DOUBLE_EQ(*value("ttft", "mean", "s"), 1.0);
  EXPECT_DOUBLE_EQ(*value("ttft", "median", "ms"), 1000);
  EXPECT_DOUBLE_EQ(*value("ttft", "p90", "ms"), 1400);
  EXPECT_DOUBLE_EQ(*value("e2e", "max", "s"), 10.5);
  EXPECT_DOUBLE_EQ(*value("e2e", "p50(report: median)", "s"), 5.0);
  EXPECT_DOUBLE_EQ(*value("ttft", "mean_or_median(not stated)", "s"), 1.0);
}

TEST_F(Counting, GapsAreWeightedByTokensAndTimesPerTokenAreNot) {
  EXPECT_NEAR(*value("itl", "mean", "s"), (10 * 0.1 + 20 * 0.2 + 30 * 0.3) / 60, 1e-12);
  EXPECT_NEAR(*value("tpot", "mean", "ms"), 200, 1e-9);
  EXPECT_NEAR(*value("itl", "p50", "s"), 0.2, 1e-12);
  EXPECT_NEAR(*value("itl", "p51", "s"), 0.3, 1e-12);
}

TEST_F(Counting, TimePerTokenMayIncludeTheFirst) {
  const double each[] = {1.5 / 11, 5.0 / 21, 10.5 / 31};
  EXPECT_NEAR(*value("e2e_per_output_token", "mean", "s"), (each[0] + each[1] + each[2]) / 3,
              1e-12);
  EXPECT_NEAR(*value("tpot_incl_ttft", "mean", "s"), (1.5 + 5.0 + 10.5) / 63, 1e-12);
}

TEST_F(Counting, CompletedMeansBeforeTheStageEnds) {
  rules_.requests = "completed";
  EXPECT_DOUBLE_EQ(*value("completed_requests", "count", "req"), 2);
  EXPECT_DOUBLE_EQ(*value("ttft", "mean", "s"), 0.75);
  stage_.end = Seconds(12.5);
  EXPECT_DOUBLE_EQ(*value("completed_requests", "count", "req"), 3);
}

TEST_F(Counting, RatesAreOverTheSecondsThatTheRuleNames) {
  EXPECT_NEAR(*value("output_throughput", "total", "tok/s"), 63 / 12.5, 1e-12);
  EXPECT_NEAR(*value("request_throughput", "total", "req/s"), 3 / 12.5, 1e-12);
  rules_.seconds = "sending";
  EXPECT_NEAR(*value("input_throughput", "total", "tok/s"), 300 / 8.0, 1e-12);
  rules_ = {.requests = "completed", .seconds = "duration", .metrics = {}};
  EXPECT_NEAR(*value("total_throughput", "total", "tok/s"), 232 / 10.0, 1e-12);
  stage_.duration = Seconds(0);  // nothing asked for: as long as it was
  EXPECT_NEAR(*value("output_throughput", "total", "tok/s"), 32 / 12.0, 1e-12);
  EXPECT_NEAR(*value("request_throughput_sent", "total", "req/s"), 4 / 8.0, 1e-12);
}

TEST_F(Counting, FailuresAreErrorsAndCancelledRequestsAreNot) {
  EXPECT_DOUBLE_EQ(*value("errored_requests", "count", "req"), 0);
  EXPECT_DOUBLE_EQ(*value("success", "rate", "%"), 100);
  stage_.requests.push_back(tokenless_record(4, 9, 1, Outcome::kTimedOut));
  EXPECT_DOUBLE_EQ(*value("failures", "count", "req"), 1);
  EXPECT_DOUBLE_EQ(*value("success", "rate", "%"), 75);
}

TEST_F(Counting, HitsAreSharesOfTheTokensAskedFor) {
  EXPECT_DOUBLE_EQ(*value("gpu_prefix_hit_rate", "mean", "%"), 32);
  EXPECT_DOUBLE_EQ(*value("connector_hit_ratio", "mean", "%"), 100 * 16.0 / 68);
}

TEST_F(Counting, AWordMayMeanAnotherMetric) {
  rules_.metrics["tpot"] = {.as = "e2e_per_output_token", .factor = 0.5};
  EXPECT_NEAR(*value("tpot", "max", "s"), 0.5 * 10.5 / 31, 1e-12);
  EXPECT_TRUE(can_measure(rules_, "tpot"));
}

TEST_F(Counting, WhatIsCalledAMedianMayBeAMean) {
  EXPECT_DOUBLE_EQ(*value("e2e", "median", "s"), 5);
  rules_.metrics["e2e"] = {.as = "e2e", .median = "mean"};
  EXPECT_NEAR(*value("e2e", "median", "s"), 17.0 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(*value("e2e", "max", "s"), 10.5);
}

TEST_F(Counting, WhatIsNotKnownGivesNothing) {
  EXPECT_FALSE(value("gpu_active", "mean", "%"));
  EXPECT_FALSE(value("ttft", "mean", "tok/s"));
  EXPECT_FALSE(value("ttft", "mode", "s"));
  EXPECT_FALSE(can_measure(rules_, "gpu_active"));
  stage_.requests.clear();
  EXPECT_FALSE(value("ttft", "mean", "s"));
}

TEST_F(Counting, AStageThatAnsweredNothingHasRatesOfZeroAndNoLatencies) {
  rules_ = {.requests = "completed", .seconds = "duration", .metrics = {}};
  stage_.requests = {tokenless_record(0, 0, 12, Outcome::kUnfinished)};
  EXPECT_EQ(value("output_throughput", "total", "tok/s"), 0);
  EXPECT_EQ(value("completed_requests", "count", "req"), 0);
  EXPECT_FALSE(value("e2e", "mean", "s"));
  EXPECT_FALSE(value("makespan", "total", "s"));
}

TEST_F(Counting, StagesTogetherAreOneSample) {
  StageOutcome second;
  second.begin = Seconds(20);
  second.end = Seconds(30);
  second.requests = {completed_record(5, 20, 5, 0.1, 11)};
  EXPECT_DOUBLE_EQ(*measure({&stage_, &second}, rules_, "ttft", "mean", "s"), 2.0);
  EXPECT_DOUBLE_EQ(*measure({&stage_, &second}, rules_, "makespan", "total", "s"), 26);
}

}  // namespace
}  // namespace kvsim
