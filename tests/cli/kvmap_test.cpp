// kvsim run --outputs kvmap: what lies where.
#include <sstream>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

using Row = std::vector<std::string>;

// Two replicas on LMCache with a shared Redis; pools small enough to evict.
Json lmcache_experiment() {
  Json out = small_experiment();
  out["pools"][0]["engine"]["num_gpu_blocks_override"] = 200;
  out["pools"][0]["connector"] = Json::parse(R"({
    "kind": "lmcache", "chunk_tokens": 32, "max_local_cpu_bytes": 1e9, "remote": "redis",
    "client": "resp"})");
  out["nodes"] = Json::parse(R"([{"name": "node", "dram_bytes": 100e9}])");
  out["stores"] = Json::parse(
      R"([{"kind": "redis", "name": "redis", "place": "dedicated", "node": "node",
          "maxmemory_bytes": 20e9}])");
  out["router"] = "round-robin";
  return out;
}

class KvMapOutput : public CommandTest {
 protected:
  void run(const Json& experiment, const std::string& out, const std::string& outputs) {
    write("experiment.json", experiment.dump());
    const CommandResult result =
        kvsim({"run", "experiment.json", "-q", "-o", out, "--outputs", outputs});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  [[nodiscard]] Json summary(const std::string& out) const {
    return Json::parse(read(out + "/summary.json"));
  }
  // Without the line of names.
  [[nodiscard]] std::vector<Row> rows(const std::string& file) const {
    std::vector<Row> out;
    std::istringstream text(read(file));
    std::string line;
    std::getline(text, line);
    while (std::getline(text, line)) {
      std::istringstream fields(line);
      out.emplace_back();
      for (std::string field; std::getline(fields, field, ',');) out.back().push_back(field);
    }
    return out;
  }
};

TEST_F(KvMapOutput, TheMapChangesNothingElse) {
  run(small_experiment(), "with", "summary,requests,kvmap");
  run(small_experiment(), "without", "summary,requests");
  Json with = summary("with");
  ASSERT_TRUE(with.contains("kv_map"));
  with.erase("kv_map");
  EXPECT_EQ(with, summary("without"));
  EXPECT_EQ(read("with/requests.csv"), read("without/requests.csv"));
  EXPECT_FALSE(exists("without/kvmap.csv"));
}

TEST_F(KvMapOutput, EqualRunsGiveEqualBytes) {
  for (const char* out : {"a", "b"}) run(lmcache_experiment(), out, "summary,kvmap");
  for (const char* file : {"kvmap.csv", "kvmap_blocks.csv", "summary.json"})
    EXPECT_EQ(read(std::string("a/") + file), read(std::string("b/") + file)) << file;
}

TEST_F(KvMapOutput, EveryTierHasARowForEachSampleAndOneAtTheEnd) {
  Json experiment = small_experiment();
  experiment["measure"] = {{"kvmap_period_s", 0.5}};
  run(experiment, "out", "summary,kvmap");
  const std::vector<Row> all = rows("out/kvmap.csv");
  ASSERT_GE(all.size(), 4u);
  ASSERT_EQ(all.size() % 2, 0u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i][1], i % 2 == 0 ? "hbm" : "dram");
  EXPECT_EQ(all[0][0], "0.500000000");
  EXPECT_EQ(all[2][0], "1.000000000");
  const Json json = summary("out");
  EXPECT_NEAR(std::stod(all.back()[0]), json["simulated_s"].get<double>(), 1e-8);
  EXPECT_EQ(json["kv_map"]["samples"].get<std::size_t>(), all.size() / 2);
}

TEST_F(KvMapOutput, AStoreOnTheMapHoldsWhatTheStoreHolds) {
  run(lmcache_experiment(), "out", "summary,kvmap");
  const Json json = summary("out");
  const Json& tiers = json["kv_map"]["tiers"];
  ASSERT_EQ(tiers.size(), 3u);
  EXPECT_EQ(tiers[0]["holders"], 2);
  EXPECT_EQ(tiers[1]["holders"], 2);
  EXPECT_EQ(tiers[2]["tier"], "redis");
  EXPECT_EQ(tiers[2]["holders"], 1);
  EXPECT_GT(tiers[2]["end"]["bytes"], 0);
  EXPECT_EQ(tiers[2]["end"]["bytes"], json["stores"][0]["live_bytes"]);
  // Written through: all of DRAM lies in the store too.
  EXPECT_EQ(tiers[1]["end"]["also_in"]["redis"], 1.0);
}

TEST_F(KvMapOutput, BlocksAreListedByCopies) {
  Json experiment = lmcache_experiment();
  experiment["measure"] = {{"kvmap_top", 5}};
  run(experiment, "out", "kvmap");
  const std::vector<Row> blocks = rows("out/kvmap_blocks.csv");
  ASSERT_EQ(blocks.size(), 5u);
  int before = 1000;
  for (const Row& row : blocks) {
    const int copies = std::stoi(row[3]) + std::stoi(row[4]) + std::stoi(row[5]);
    EXPECT_LE(copies, before);
    before = copies;
  }
  EXPECT_EQ(blocks[0][2], "hbm+dram+redis");
}

// Its network is slow, and what does not keep up is not written.
Json busy_experiment() {
  Json out = lmcache_experiment();
  out["nodes"][0]["nic_bytes_per_s"] = 100e6;
  out["pools"][0]["connector"]["skip_write_above_s"] = 0.2;
  return out;
}

TEST_F(KvMapOutput, WhatABusyTierIsNotGivenLiesInDramOnly) {
  const Json experiment = busy_experiment();
  run(experiment, "out", "summary,kvmap");
  const Json json = summary("out");
  EXPECT_GT(json["tier_troubles"]["redis"]["dropped_tokens"], 0);
  const Json& dram = json["kv_map"]["tiers"][1]["end"];
  EXPECT_LT(dram["also_in"]["redis"], 1.0);
  EXPECT_GT(dram["also_in"]["redis"], 0.0);
}

// A large LLM, whose KV is sooner fetched than computed, and a store too small for all of it.
TEST_F(KvMapOutput, EvictingDuplicatesFirstKeepsWhatLiesNowhereElse) {
  Json experiment = lmcache_experiment();
  experiment["pools"][0]["llm"] = "llama-3.1-70b";
  experiment["pools"][0]["tensor_parallel"] = 8;
  experiment["stores"][0]["maxmemory_bytes"] = 1.2e9;
  Json& connector = experiment["pools"][0]["connector"];
  connector["max_local_cpu_bytes"] = 150e6;
  const auto in_redis = [&](const char* policy) {
    connector["cache_policy"] = policy;
    run(experiment, policy, "summary,kvmap");
    const Json dram = summary(policy)["kv_map"]["tiers"][1];
    return dram["mean"]["also_in"]["redis"].get<double>();
  };
  EXPECT_LT(in_redis("duplicates-first"), in_redis("lru"));
}

TEST_F(KvMapOutput, ATableSaysWhatLiesTwice) {
  write("experiment.json", lmcache_experiment().dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-o", "out", "--outputs", "kvmap"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("kv map, mean"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace kvsim::cli_test
