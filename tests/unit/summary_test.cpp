// The summary, what it costs, and the table that shows it.
#include "sim/report/summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/report/table.hpp"
#include "tests/unit/request_records.hpp"

namespace kvsim {
namespace {

RunFacts facts() {
  RunFacts out;
  out.name = "test";
  out.provenance = {"0.1", "c0ffee", "beef", 42, {"h100-sxm"}, {}};
  out.tiers = {{"hbm", Tokens(64), Bytes(0)}, {"dram", Tokens(0), Bytes(4096)}};
  out.fetch_stages = {"copy"};
  out.resources = {{"gpu-0", "gpu", 0.75, Bytes(0), Seconds(7.5)},
                   {"node-0/pcie", "pcie", 0.95, Bytes(1000), Seconds(9.5)}};
  out.gpus = 2;
  out.cost = CostInputs{.gpus = {{2, 3.6}}};
  out.simulated = Seconds(10);
  return out;
}

Recorder recorder_with(int completed, Slo slo = {}) {
  Recorder recorder({}, slo);
  for (int i = 0; i < completed; ++i) {
    recorder.arrived();
    recorder.finished(completed_record(i, 0.1 * i, 0.1 * (i + 1), 0.02, 11));
    recorder.gap(Seconds(0.02), 10);
  }
  return recorder;
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> out;
  for (const auto& item : object.items()) out.push_back(item.key());
  return out;
}

void expect_keys(const Json& object, const std::vector<std::string>& expected) {
  const std::vector<std::string> found = keys(object);
  for (const std::string& key : expected)
    EXPECT_TRUE(std::find(found.begin(), found.end(), key) != found.end()) << key;
}

TEST(Summary, HasTheKeysThatOtherToolsRelyOn) {
  const Json summary = summarise(recorder_with(3), facts());
  EXPECT_EQ(summary["schema"], "kvsim.summary/1");
  expect_keys(summary,
              {"requests", "duration_s", "simulated_s", "throughput", "latency_s", "cache",
               "ttft_breakdown_s", "resources", "bottleneck", "cost", "slo", "provenance"});
  expect_keys(summary["requests"],
              {"arrived", "completed", "refused", "failed", "unfinished", "preempted"});
  expect_keys(summary["throughput"], {"requests_per_s", "output_tokens_per_s", "input_tokens_per_s",
                                      "requests_per_s_per_gpu", "output_tokens_per_s_per_user"});
  for (const char* latency : {"latency_s", "latency_with_timeouts_s", "latency_intended_s"}) {
    EXPECT_EQ(keys(summary[latency]),
              (std::vector<std::string>{"ttft", "itl", "tpot", "e2e", "queue"}));
    for (const auto& metric : summary[latency].items())
      EXPECT_EQ(keys(metric.value()),
                (std::vector<std::string>{"mean", "p50", "p90", "p95", "p99", "max"}));
  }
  expect_keys(summary["cache"], {"prompt_tokens", "recomputed_tokens", "hit_rate", "hit_tokens",
                                 "evicted_tokens", "stored_bytes", "write_amplification"});
  expect_keys(summary["ttft_breakdown_s"], {"queue", "lookup", "fetch", "prefill", "other"});
  EXPECT_TRUE(summary["ttft_breakdown_s"]["fetch"].is_object());
  expect_keys(summary["resources"][0], {"name", "kind", "utilisation", "bytes", "busy_s"});
  expect_keys(summary["bottleneck"], {"resource", "utilisation", "reason", "share"});
  expect_keys(summary["cost"], {"usd_per_hour", "usd_per_million_output_tokens",
                                "usd_per_million_tokens", "by_part"});
  expect_keys(summary["cost"]["by_part"], {"gpu", "dram", "nvme", "store", "network", "power"});
  expect_keys(summary["slo"], {"ttft_s", "tpot_s", "attainment", "goodput_requests_per_s"});
  expect_keys(summary["provenance"],
              {"version", "config_sha256", "trace_sha256", "seed", "profiles"});
}

TEST(Summary, RatesAreOverTheMeasuringWindow) {
  const Json summary = summarise(recorder_with(5), facts());
  EXPECT_DOUBLE_EQ(summary["throughput"]["requests_per_s"], 0.5);
  EXPECT_DOUBLE_EQ(summary["throughput"]["output_tokens_per_s"], 5.5);
  EXPECT_DOUBLE_EQ(summary["throughput"]["input_tokens_per_s"], 50);
  EXPECT_DOUBLE_EQ(summary["throughput"]["requests_per_s_per_gpu"], 0.25);
  EXPECT_NEAR(summary["throughput"]["output_tokens_per_s_per_user"], 50, 1e-9);
}

TEST(Summary, PartsOfTheTimeToFirstTokenAddUpToItsMean) {
  const Json summary = summarise(recorder_with(50), facts());
  const Json& parts = summary["ttft_breakdown_s"];
  double sum = parts["queue"].get<double>() + parts["lookup"].get<double>() +
               parts["prefill"].get<double>() + parts["other"].get<double>();
  for (const auto& stage : parts["fetch"].items()) sum += stage.value().get<double>();
  EXPECT_NEAR(sum, summary["latency_s"]["ttft"]["mean"].get<double>(), 1e-12);
}

TEST(Summary, HitsAreCountedByTier) {
  const Json cache = summarise(recorder_with(5), facts())["cache"];
  EXPECT_EQ(cache["prompt_tokens"], 500);
  EXPECT_EQ(cache["hit_tokens"].dump(), R"({"hbm":160,"dram":80})");
  EXPECT_EQ(cache["evicted_tokens"].dump(), R"({"hbm":64,"dram":0})");
  EXPECT_EQ(cache["stored_bytes"].dump(), R"({"hbm":0,"dram":4096})");
  EXPECT_DOUBLE_EQ(cache["hit_rate"], 0.48);
}

TEST(Summary, TheBusiestResourceIsTheBottleneck) {
  const Json summary = summarise(recorder_with(5), facts());
  EXPECT_EQ(summary["bottleneck"]["resource"], "node-0/pcie");
  EXPECT_EQ(summary["bottleneck"]["utilisation"], 0.95);
  EXPECT_TRUE(summary["bottleneck"]["share"].is_null());
}

TEST(Summary, TimedOutRequestsCountInTheirOwnLatencies) {
  Recorder recorder = recorder_with(3);
  recorder.arrived();
  recorder.finished(tokenless_record(9, 0, 60, Outcome::kTimedOut));
  const Json summary = summarise(recorder, facts());
  EXPECT_NEAR(summary["latency_s"]["ttft"]["max"], 0.3, 1e-9);
  EXPECT_NEAR(summary["latency_with_timeouts_s"]["ttft"]["max"], 60, 1e-9);
  EXPECT_EQ(summary["requests"]["timed_out"], 1);
}

TEST(Summary, GoodputIsWhatKeptTheSlo) {
  const Json summary = summarise(recorder_with(10, {Seconds(0.55), std::nullopt}), facts());
  EXPECT_DOUBLE_EQ(summary["slo"]["attainment"], 0.5);
  EXPECT_DOUBLE_EQ(summary["slo"]["goodput_requests_per_s"], 0.5);
  EXPECT_TRUE(summary["slo"]["tpot_s"].is_null());
}

TEST(Summary, WhatCannotBeSaidIsNull) {
  RunFacts empty;
  const Json summary = summarise(Recorder(), empty);
  EXPECT_TRUE(summary["throughput"]["requests_per_s"].is_null());
  EXPECT_TRUE(summary["latency_s"]["ttft"]["p99"].is_null());
  EXPECT_TRUE(summary["cache"]["hit_rate"].is_null());
  EXPECT_TRUE(summary["bottleneck"]["resource"].is_null());
  EXPECT_TRUE(summary["cost"].is_null());
  EXPECT_TRUE(summary["slo"]["attainment"].is_null());
}

TEST(Summary, SaysHowExactItsPercentilesAre) {
  Recorder recorder({}, {}, 2);
  for (int i = 0; i < 3; ++i) {
    recorder.arrived();
    recorder.finished(completed_record(i, 0, 1, 0.1, 5));
  }
  const Json few = summarise(recorder_with(3), facts());
  EXPECT_EQ(few["percentiles"]["relative_error"]["latency_s"]["ttft"], 0);
  EXPECT_GT(few["percentiles"]["relative_error"]["latency_s"]["itl"], 0);
  const Json many = summarise(recorder, facts());
  EXPECT_GT(many["percentiles"]["relative_error"]["latency_s"]["ttft"], 0);
  EXPECT_LE(many["percentiles"]["relative_error"]["latency_s"]["ttft"], 0.005);
}

TEST(Summary, OnlyAnIncompleteRunSaysSo) {
  RunFacts cut = facts();
  EXPECT_FALSE(summarise(recorder_with(1), cut).contains("incomplete"));
  cut.incomplete = true;
  EXPECT_EQ(summarise(recorder_with(1), cut)["incomplete"], true);
}

TEST(Cost, AddsUpByPart) {
  const HourlyCost cost = hourly_cost({.gpus = {{8, 2.5}, {2, 1.0}},
                                       .nodes = {{2, 3.0}},
                                       .dram_gb = {{1000, 0.002}},
                                       .nvme_gb = {{8000, 0.0001}},
                                       .stores = {{1, 1.5}},
                                       .network = {{4, 0.25}},
                                       .power_w = 7000,
                                       .power_usage_effectiveness = 1.5,
                                       .usd_per_kwh = 0.1});
  EXPECT_DOUBLE_EQ(cost.gpu, 28);
  EXPECT_DOUBLE_EQ(cost.dram, 2);
  EXPECT_DOUBLE_EQ(cost.nvme, 0.8);
  EXPECT_DOUBLE_EQ(cost.store, 1.5);
  EXPECT_DOUBLE_EQ(cost.network, 1);
  EXPECT_DOUBLE_EQ(cost.power, 1.05);
  EXPECT_DOUBLE_EQ(cost.total(), 34.35);
}

TEST(Cost, PerMillionTokensFollowsFromTheRate) {
  EXPECT_DOUBLE_EQ(*usd_per_million(3.6, 1000), 1);
  EXPECT_FALSE(usd_per_million(3.6, 0));
}

TEST(Cost, OfASummaryIsPerTokenServed) {
  const Json cost = summarise(recorder_with(5), facts())["cost"];
  EXPECT_DOUBLE_EQ(cost["usd_per_hour"], 7.2);
  EXPECT_NEAR(cost["usd_per_million_output_tokens"], 7.2 / (5.5 * 3600) * 1e6, 1e-9);
  EXPECT_NEAR(cost["usd_per_million_tokens"], 7.2 / (55.5 * 3600) * 1e6, 1e-9);
}

TEST(Table, ShowsTheMainFiguresInSomeTwentyLines) {
  const std::string table =
      summary_table(summarise(recorder_with(5, {Seconds(0.3), std::nullopt}), facts()));
  EXPECT_LE(std::count(table.begin(), table.end(), '\n'), 20);
  for (const char* text :
       {"5 arrived", "0.5 requests/s", "ttft", "300 ms", "48.0 %", "node-0/pcie", "$7.2 per hour"})
    EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
}

TEST(Table, AnEmptyRunIsShownToo) {
  EXPECT_NE(summary_table(summarise(Recorder(), RunFacts())).find("0 arrived"), std::string::npos);
}

TEST(Table, NumbersHaveUnitsThatSuitThem) {
  EXPECT_EQ(human_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(human_seconds(12.5), "12.5 s");
  EXPECT_EQ(human_seconds(2.5e-5), "25 us");
  EXPECT_EQ(human_seconds(nullptr), "-");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(12031), "12,031");
  EXPECT_EQ(human_count(123456), "123,456");
  EXPECT_EQ(human_count(12'345'678), "12.35 M");
}

}  // namespace
}  // namespace kvsim
