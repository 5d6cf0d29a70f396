// Every time to first token is explained: its parts, and the stages of its fetches, add up for each
// request, whatever the tier.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

// Prefixes of 40 groups, more than HBM holds, so that most come from below.
Json experiment_with(const Json& connector) {
  return {{"schema", "kvsim.experiment/1"},
          {"workload",
           {{"kind", "generate"},
            {"requests", 120},
            {"input", {{"kind", "constant"}, {"value", 400}}},
            {"output", {{"kind", "constant"}, {"value", 24}}},
            {"prefix", {{"groups", 40}, {"length", {{"kind", "constant"}, {"value", 3200}}}}}}},
          {"load", {{"kind", "closed_loop"}, {"clients", 4}}},
          {"nodes", {{{"gpus", 1}, {"dram_bytes", 1e12}}}},
          {"stores", {{{"name", "kv"}, {"kind", "redis"}, {"maxmemory_bytes", 500e9}}}},
          {"pools", {{{"llm", "llama-3-8b"}, {"gpu", "l4"}, {"connector", connector}}}}};
}

Json lmcache() {
  return {{"kind", "lmcache"},
          {"chunk_tokens", 1024},
          {"local_cpu", false},
          {"max_local_cpu_bytes", 4e9},
          {"remote", "kv"}};
}

// One line for each request that does not add up.
std::string unexplained(const WorldResult& result) {
  std::string text = times_that_do_not_add_up(result);
  for (const RequestRecord& r : result.records) {
    Seconds stages{0};
    for (const Seconds stage : r.fetch_stages) {
      stages += stage;
      if (stage < Seconds(-1e-12)) text += fmt::format("request {}: a stage < 0\n", r.id);
    }
    if (std::abs((stages - r.fetch).count()) > 1e-9)
      text += fmt::format("request {}: stages {} of {}\n", r.id, stages.count(), r.fetch.count());
  }
  return text;
}

// The same, and a sign for each stage on the last line: does anybody spend time there?
std::string stages_of(const Json& experiment) {
  return text_of_child([&] {
    const WorldResult result = run_here(experiment);
    std::array<Seconds, 6> sums{};
    for (const RequestRecord& r : result.records)
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += r.fetch_stages[i];
    std::string text = unexplained(result);
    for (const Seconds sum : sums) text += sum > Seconds(0) ? "+" : "0";
    return text;
  });
}

TEST(Stages, AddUpInRandomWorldsToo) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Json experiment = random_experiment(seed);
    ASSERT_EQ(text_of_child([&] { return unexplained(run_here(experiment)); }), "")
        << "world " << seed << ": " << experiment.dump();
  }
}

TEST(Stages, OfLmcacheAboveRedisAreClientNetworkServerAndCopy) {
  EXPECT_EQ(stages_of(experiment_with(lmcache())), "+++00+");
}

TEST(Stages, OfAsynchronousLoadingAddUpToo) {
  Json connector = lmcache();
  connector["enable_async_loading"] = true;
  EXPECT_EQ(stages_of(experiment_with(connector)).substr(0, 3), "+++");
}

TEST(Stages, OfTheNativeTierAreTheCopyAlone) {
  EXPECT_EQ(stages_of(experiment_with({{"kind", "native"}, {"cpu_bytes", 60e9}})), "00000+");
}

Json summary_of(const Json& experiment) { return Json::parse(summary_of_child(experiment)); }

TEST(Stages, StepsThatWaitForLoadsSayForWhat) {
  const Json summary = summary_of(experiment_with(lmcache()));
  const Json& waits = summary["step_waits_s"];
  double stages = 0;
  for (const Json& seconds : waits["load_stages"]) stages += seconds.get<double>();
  const double loads = waits["loads"].get<double>();
  EXPECT_NEAR(stages, loads, 1e-9);
  double busy = waits["stores"].get<double>() + waits["lookups"].get<double>() + loads;
  for (const Json& resource : summary["resources"])
    if (resource["kind"] == "gpu") busy += resource["busy_s"].get<double>();
  EXPECT_LE(busy, summary["simulated_s"].get<double>());
  EXPECT_GT(busy, 0.9 * summary["simulated_s"].get<double>());  // a closed loop: little else
}

TEST(Stages, ChunksLookedUpUnderOtherHashesAreStoredAndNeverFound) {
  Json connector = lmcache();
  connector["local_cpu"] = true;
  connector["max_local_cpu_bytes"] = 60e9;
  connector["same_hashes"] = false;
  const Json summary = summary_of(experiment_with(connector));
  EXPECT_EQ(summary["cache"]["hit_tokens"]["dram"], 0);
  EXPECT_EQ(summary["cache"]["hit_tokens"]["kv"], 0);
  EXPECT_GT(summary["cache"]["stored_bytes"]["kv"].get<double>(), 0);
  EXPECT_EQ(summary["requests"]["completed"], 120);
}

TEST(Stages, AFreeClientTakesNoTime) {
  Json experiment = experiment_with(lmcache());
  experiment["assume_free"] = {"client"};
  const Json summary = summary_of(experiment);
  EXPECT_EQ(summary["requests"]["completed"], 120);
  for (const Json& resource : summary["resources"]) {
    if (resource["kind"] != "client") continue;
    EXPECT_EQ(resource["busy_s"], 0.0) << resource;
  }
  const Json fetch = summary["ttft_breakdown_s"]["fetch"];
  EXPECT_LT(fetch["client"].get<double>(), fetch["server"].get<double>());
}

}  // namespace
}  // namespace kvsim
