// Processes that replicas share: LMCache's server on their node, a gateway beside a store. Whole
// experiments: prompts of 1,024 tokens, 20 s apart, on replicas in turns.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kTokenBytes = 131072;  // Llama-3.1-8B
constexpr std::int64_t kPrompt = 1024;
constexpr std::int64_t kGiga = 1'000'000'000;

Json experiment(const Json& connector, const std::vector<int>& prompts) {
  const std::string file = testing::TempDir() + "node_services_" +
                           testing::UnitTest::GetInstance()->current_test_info()->name() + ".jsonl";
  std::ofstream out(file);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    out << Json{{"timestamp", 20'000 * i},
                {"input_length", kPrompt + 512},
                {"output_length", 2},
                {"hash_ids", {2 * prompts[i], 2 * prompts[i] + 1, 100 + i}}}
               .dump()
        << "\n";
  Json pool = {{"llm", "llama-3.1-8b"},
               {"gpu", "h100-sxm"},
               {"replicas", 2},
               {"node", "node"},
               {"connector", connector}};
  return {{"schema", "kvsim.experiment/1"},
          {"workload", {{"path", file}, {"format", "mooncake"}}},
          {"nodes", {{{"name", "node"}, {"gpus", 8}}, {{"name", "server"}, {"gpus", 1}}}},
          {"pools", {pool}}};
}

Json lmcache_mp(std::int64_t l1 = 20 * kGiga) { return {{"kind", "lmcache-mp"}, {"l1_bytes", l1}}; }

Json with_gateway(const std::string& place) {
  Json out = experiment({{"kind", "gateway"}, {"store", "kv"}, {"gateway", {{"place", place}}}},
                        {1, 1, 1});
  out["nodes"][0]["gpus"] = 1;  // a node for each replica
  out["stores"] = {{{"name", "kv"},
                    {"kind", "redis"},
                    {"maxmemory_bytes", 100 * kGiga},
                    {"place", "dedicated"},
                    {"node", "server"}}};
  return out;
}

TEST(NodeServices, WhatOneReplicaStoredAnotherOneOfTheNodeHits) {
  in_child([] {
    const WorldResult result = run_here(experiment(lmcache_mp(), {1, 1}));
    EXPECT_EQ(result.records[0].hit_tokens[1], 0);
    EXPECT_EQ(result.records[1].hit_tokens[1], kPrompt);
  });
}

TEST(NodeServices, ReplicasOfAnotherNodeHaveAServerOfTheirOwn) {
  in_child([] {
    Json apart = experiment(lmcache_mp(), {1, 1, 1});
    apart["nodes"][0]["gpus"] = 1;
    const WorldResult result = run_here(apart);
    EXPECT_EQ(result.records[1].hit_tokens[1], 0);
    EXPECT_GT(result.records[2].hit_tokens[0] + result.records[2].hit_tokens[1], 0);
  });
}

TEST(NodeServices, TheServerIsCountedOnce) {
  in_child([] {
    const WorldResult result = run_here(experiment(lmcache_mp(), {1, 2}));
    EXPECT_EQ(result.summary["cache"]["stored_bytes"]["dram"].get<std::int64_t>(),
              2 * (kPrompt + 512) * kTokenBytes);
  });
}

TEST(NodeServices, TheServersDramIsHeldOnce) {
  Json just_enough = experiment(lmcache_mp(), {1});
  just_enough["nodes"][0]["dram_bytes"] = 30 * kGiga;
  in_child([&] { EXPECT_NO_THROW((void)run_here(just_enough)); });
  just_enough["nodes"][0]["dram_bytes"] = 19 * kGiga;
  in_child([&] { EXPECT_THROW((void)run_here(just_enough), std::exception); });
}

TEST(NodeServices, RanksKeepTheirPartsInOneServer) {
  in_child([] {
    Json two_ranks = experiment(lmcache_mp(), {1, 1});
    two_ranks["pools"][0]["tensor_parallel"] = 2;
    const WorldResult result = run_here(two_ranks);
    EXPECT_EQ(result.records[1].hit_tokens[1], kPrompt);
    // The second adds its last 512 tokens, which differ.
    EXPECT_EQ(result.summary["cache"]["stored_bytes"]["dram"].get<std::int64_t>(),
              (kPrompt + 2 * 512) * kTokenBytes);
  });
}

TEST(NodeServices, AGatewayBesideAStoreServesAllNodes) {
  for (const char* place : {"client", "store"}) {
    in_child([&] {
      const WorldResult result = run_here(with_gateway(place));
      EXPECT_EQ(result.records[1].hit_tokens[1], kPrompt) << place;
      EXPECT_EQ(result.records[0].hit_tokens[1], 0) << place;
    });
  }
}

TEST(NodeServices, AGatewayBesideAStoreOnManyMachinesIsAnError) {
  Json sharded = with_gateway("store");
  sharded["stores"][0]["place"] = "sharded";
  sharded["stores"][0].erase("node");
  in_child([&] { EXPECT_THROW((void)run_here(sharded), std::exception); });
}

TEST(NodeServices, ALossyCodecIsAWarning) {
  in_child([] {
    Json lossy = with_gateway("client");
    lossy["pools"][0]["connector"]["serde"] = "cachegen";
    const Json warnings = run_here(lossy).summary["warnings"];
    EXPECT_NE(warnings.dump().find("cachegen is lossy"), std::string::npos) << warnings.dump();
  });
}

}  // namespace
}  // namespace kvsim
