#include "sim/report/sweep_plan.hpp"

#include <gtest/gtest.h>

#include <map>

namespace kvsim {
namespace {

SweepPlan plan(const std::string& text) {
  const Json json = Json::parse(text);
  return read_sweep(ConfigNode(json, "folder/sweep.json"));
}

std::string overrides(const SweepPlan& sweep) {
  std::string out;
  for (const SweepPoint& point : sweep.points) out += point.overrides.dump() + "\n";
  return out;
}

std::string complaint(const std::string& text) {
  try {
    (void)plan(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

Shard shard(const std::string& flag, const std::map<std::string, std::string>& environment) {
  return read_shard(flag, [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(SweepPlan, AGridIsTheProductWithTheFirstKeySlowest) {
  const SweepPlan sweep = plan(R"({"schema": "kvsim.sweep/1", "experiment": "base.json",
      "grid": {"/load/rate_per_s": [1, 2.5], "/pools/0/replicas": [3, 4]}})");
  EXPECT_EQ(overrides(sweep), R"({"/load/rate_per_s":1,"/pools/0/replicas":3}
{"/load/rate_per_s":1,"/pools/0/replicas":4}
{"/load/rate_per_s":2.5,"/pools/0/replicas":3}
{"/load/rate_per_s":2.5,"/pools/0/replicas":4}
)");
  EXPECT_EQ(sweep.points[3].index, 3u);
  EXPECT_EQ(sweep.points[3].name(), "point-0003");
}

TEST(SweepPlan, ListedPointsFollowTheGrid) {
  const SweepPlan sweep = plan(R"({"schema": "kvsim.sweep/1", "experiment": "base.json",
      "grid": {"/a": [1, 2]}, "points": [{"/a": 3, "/b": "x"}, {}]})");
  EXPECT_EQ(overrides(sweep), "{\"/a\":1}\n{\"/a\":2}\n{\"/a\":3,\"/b\":\"x\"}\n{}\n");
  EXPECT_EQ(sweep.pointers, (std::vector<std::string>{"/a", "/b"}));
}

TEST(SweepPlan, TheExperimentIsRelativeToTheSweep) {
  EXPECT_EQ(plan(R"({"schema": "kvsim.sweep/1", "experiment": "../base.json", "points": [{}]})")
                .experiment,
            "base.json");
}

TEST(SweepPlan, MistakesNameTheirPlace) {
  const std::string head = R"({"schema": "kvsim.sweep/1", "experiment": "b.json", )";
  EXPECT_NE(complaint(head + R"("gird": {}})").find("unknown key \"gird\""), std::string::npos);
  EXPECT_NE(complaint(head + R"("grid": {"a": [1]}})").find("/grid: found the key \"a\""),
            std::string::npos);
  EXPECT_NE(complaint(head + R"("grid": {"/a": 1}})").find("/grid/~1a: found 1"),
            std::string::npos);
  EXPECT_NE(complaint(head + R"("grid": {"/a": []}})").find("an empty list"), std::string::npos);
  EXPECT_NE(complaint(head + R"("points": []})").find("0 points"), std::string::npos);
  EXPECT_NE(complaint(R"({"experiment": "b.json"})").find("no \"schema\""), std::string::npos);
  EXPECT_NE(complaint(R"({"schema": "x", "experiment": "b.json"})").find("/schema: found \"x\""),
            std::string::npos);
}

TEST(SweepPlan, AGridThatExplodesIsRefused) {
  std::string list = "[0";
  for (int i = 1; i < 200; ++i) list += "," + std::to_string(i);
  list += "]";
  EXPECT_NE(complaint(R"({"schema": "kvsim.sweep/1", "experiment": "b.json", "grid": {"/a": )" +
                      list + ",\"/b\":" + list + ",\"/c\":" + list + "}}")
                .find("at most 1000000"),
            std::string::npos);
}

TEST(SweepShard, ShardsCoverEveryPointOnce) {
  for (std::size_t index = 0; index < 10; ++index) {
    int owners = 0;
    for (const char* flag : {"1/3", "2/3", "3/3"})
      owners += shard(flag, {}).has({index, Json::object()}) ? 1 : 0;
    EXPECT_EQ(owners, 1) << index;
  }
}

TEST(SweepShard, WithoutFlagAndSchedulerAllPointsAreOurs) {
  EXPECT_EQ(shard("", {}).count, 1u);
  EXPECT_EQ(shard("", {{"SLURM_ARRAY_TASK_ID", "3"}}).count, 1u);
}

TEST(SweepShard, ASlurmArrayTellsItsShard) {
  const std::map<std::string, std::string> slurm = {{"SLURM_ARRAY_TASK_ID", "9"},
                                                    {"SLURM_ARRAY_TASK_MIN", "5"},
                                                    {"SLURM_ARRAY_TASK_STEP", "2"},
                                                    {"SLURM_ARRAY_TASK_COUNT", "4"}};
  EXPECT_EQ(shard("", slurm).index, 2u);
  EXPECT_EQ(shard("", slurm).count, 4u);
}

TEST(SweepShard, AKubernetesJobNeedsTheNumberOfShards) {
  const std::map<std::string, std::string> job = {{"JOB_COMPLETION_INDEX", "2"}};
  EXPECT_EQ(shard("4", job).index, 2u);
  EXPECT_EQ(shard("4", job).count, 4u);
  EXPECT_THROW((void)shard("", job), ConfigError);
  EXPECT_EQ(shard("1/1", job).count, 1u);
}

TEST(SweepShard, NonsenseIsRefused) {
  for (const char* flag : {"0/3", "4/3", "a/3", "1/", "/", "3", "-1/3"})
    EXPECT_THROW((void)shard(flag, {}), ConfigError) << flag;
}

TEST(SweepCsv, HasARowPerPointAndAColumnPerNumber) {
  const SweepPlan sweep = plan(R"({"schema": "kvsim.sweep/1", "experiment": "base.json",
      "points": [{"/a": 1}, {"/a": 2, "/b": "x,\"y\""}, {"/b": [1, 2]}]})");
  const std::vector<SweepResult> results = {
      {&sweep.points[0], {{"schema", "s"}, {"t", {{"p99", 0.5}}}}},
      {&sweep.points[1], {{"t", {{"p99", nullptr}, {"max", 3}}}}},
      {&sweep.points[2], {{"t", {{"p99", 0.1}}}}}};
  EXPECT_EQ(sweep_csv(sweep, results),
            "point,/a,/b,t.p99,t.max\n"
            "0,1,,0.5,\n"
            "1,2,\"x,\"\"y\"\"\",,3\n"
            "2,,\"[1,2]\",0.1,\n");
}

}  // namespace
}  // namespace kvsim
