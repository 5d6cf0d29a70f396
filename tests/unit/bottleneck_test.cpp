// What a run is limited by, and what it gains when that is free.
#include "sim/report/bottleneck.hpp"

#include <gtest/gtest.h>

#include "sim/report/what_if.hpp"

namespace kvsim {
namespace {

// One engine for 100 s, a client and a store below it; loads wait for the client mostly.
RunFacts facts_with(double steps_s, double loads_s) {
  RunFacts out;
  out.fetch_stages = {"client", "network", "server", "disk", "codec", "copy"};
  out.simulated = Seconds(100);
  out.resources = {{"gpu-0", "gpu", steps_s / 100, Bytes(0), Seconds(steps_s)},
                   {"pool-0.client", "client", 0.4, Bytes(1), Seconds(40)},
                   {"engine-0.waits", "stall", 0.99, Bytes(0), Seconds(99)},
                   {"node-0.kv.main", "cpu", 0.2, Bytes(0), Seconds(20)}};
  out.stores = {{.name = "node-0.kv"}};
  out.waits.loads = Seconds(loads_s);
  out.waits.load_stages[0] = Seconds(0.75 * loads_s);
  out.waits.load_stages[2] = Seconds(0.25 * loads_s);
  return out;
}

TEST(Bottleneck, WhatIsBusyAllTheTimeLimits) {
  RunFacts facts = facts_with(97, 0);
  const Json out = find_bottleneck(facts, Json::object());
  EXPECT_EQ(out["resource"], "gpu-0");
  EXPECT_EQ(out["reason"], "the busiest resource (gpu), busy 97.0 % of the run");
  EXPECT_TRUE(out["free"].is_null());
}

TEST(Bottleneck, WhatStepsWaitForLimitsWhenNothingIsBusyAllTheTime) {
  const Json out = find_bottleneck(facts_with(40, 60), Json::object());
  EXPECT_EQ(out["resource"], "pool-0.client");
  EXPECT_EQ(out["reason"],
            "steps wait for loads: 60 % of the time, of which client 75 %, "
            "server 25 %");
  EXPECT_EQ(out["free"], "client");
}

TEST(Bottleneck, AGpuThatComputesLongerThanItWaitsLimitsAndTheWaitsAreNamed) {
  const Json out = find_bottleneck(facts_with(60, 40), Json::object());
  EXPECT_EQ(out["resource"], "gpu-0");
  EXPECT_NE(out["reason"].get<std::string>().find("steps wait for loads: 40 %"), std::string::npos);
}

TEST(Bottleneck, EnginesWithoutRequestsSaySo) {
  const Json out = find_bottleneck(facts_with(20, 10), {{"queue", 1.0}, {"prefill", 3.0}});
  EXPECT_EQ(out["reason"],
            "nothing is saturated: engines have no step to do for 70 % of the time; the time to "
            "first token is prefill 75 %, queue 25 %");
}

TEST(Bottleneck, ItsShareIsWhatFreeingItGains) {
  Json summary = {{"bottleneck", find_bottleneck(facts_with(40, 60), Json::object())}};
  EXPECT_TRUE(summary["bottleneck"]["share"].is_null());
  add_what_if({{{"free", "server"}, {"throughput_gain", 0.1}},
               {{"free", "client"}, {"throughput_gain", 0.5}}},
              summary);
  EXPECT_EQ(summary["bottleneck"]["share"], 0.5);
  EXPECT_EQ(summary["what_if"].size(), 2u);
}

Json summary_with(double tokens_per_s, double ttft_s, double per_user) {
  return {{"throughput",
           {{"output_tokens_per_s", tokens_per_s}, {"output_tokens_per_s_per_user", per_user}}},
          {"latency_s", {{"ttft", {{"mean", ttft_s}}}}}};
}

TEST(WhatIf, GainsAreRelative) {
  const Json gain = what_if_gain("client", summary_with(100, 2, 10), summary_with(150, 0.5, 12.5));
  EXPECT_EQ(gain["free"], "client");
  EXPECT_DOUBLE_EQ(gain["throughput_gain"], 0.5);
  EXPECT_DOUBLE_EQ(gain["ttft_gain"], 0.75);
  EXPECT_DOUBLE_EQ(gain["tokens_per_user_gain"], 0.25);
}

TEST(WhatIf, WithoutThroughputThereIsNoGain) {
  EXPECT_TRUE(what_if_gain("x", Json::object(), Json::object())["throughput_gain"].is_null());
}

TEST(WhatIf, OnlyWhatWasUsedIsTried) {
  const Json resolved = {{"assume_free", {"disk"}},
                         {"pools", {{{"engine", {{"request_overhead", true}}}}}}};
  const Json summary = {{"resources",
                         {{{"kind", "pcie"}, {"busy_s", 1.0}},
                          {{"kind", "disk"}, {"busy_s", 1.0}},
                          {{"kind", "client"}, {"busy_s", 0.0}}}}};
  const std::vector<WhatIf> list = what_ifs(resolved, summary);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].free, "pcie");
  EXPECT_EQ(list[0].overrides.front(), R"(/assume_free=["disk","pcie"])");
  EXPECT_EQ(list[1].free, "api");
}

}  // namespace
}  // namespace kvsim
