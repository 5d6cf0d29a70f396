// Machines below the GPUs as an experiment describes them: whole experiments, right and wrong.
#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/store/store.hpp"
#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kGiga = 1'000'000'000;

// LMCache over Redis on the one node, whose prompts all begin with the same 1,024 tokens.
Json experiment() {
  return {{"schema", "kvsim.experiment/1"},
          {"workload",
           {{"kind", "generate"},
            {"requests", 3},
            {"prefix", {{"groups", 1}, {"length", {{"kind", "constant"}, {"value", 1024}}}}},
            {"input", {{"kind", "constant"}, {"value", 64}}},
            {"output", {{"kind", "constant"}, {"value", 2}}}}},
          {"load", {{"kind", "closed_loop"}, {"clients", 1}}},
          {"nodes", {{{"name", "node"}, {"gpus", 1}, {"dram_bytes", 100 * kGiga}}}},
          {"stores", {{{"name", "kv"}, {"kind", "redis"}, {"maxmemory_bytes", 20 * kGiga}}}},
          {"pools",
           {{{"llm", "llama-3.1-8b"},
             {"gpu", "l4"},
             {"engine", {{"max_model_len", 8192}, {"enable_prefix_caching", false}}},
             {"connector", {{"kind", "lmcache"}, {"local_cpu", false}, {"remote", "kv"}}}}}}};
}

std::string complaint(const Json& wrong) {
  try {
    (void)run_here(wrong);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

void expect_complaint(const Json& wrong, const std::string& words) {
  in_child([&] {
    const std::string text = complaint(wrong);
    EXPECT_NE(text.find(words), std::string::npos) << text << "\nwithout: " << words;
    EXPECT_NE(text.find("; allowed: "), std::string::npos) << text;
  });
}

Json tmpfs(std::int64_t bytes) {
  return {{"name", "ram"}, {"kind", "tmpfs"}, {"capacity_bytes", bytes}};
}

TEST(Machines, ATmpfsHoldsItsCapacityOfTheNodesDram) {
  Json much = experiment();
  much["nodes"][0]["disks"] = {tmpfs(80 * kGiga)};
  expect_complaint(much, "node-0.ram 80 GB");
  much["nodes"][0]["disks"] = {tmpfs(70 * kGiga)};
  in_child([&] { EXPECT_EQ(complaint(much), ""); });
}

TEST(Machines, SoDoesAStripeOfSeveral) {
  Json much = experiment();
  const Json of = {{"kind", "tmpfs"}, {"capacity_bytes", 60 * kGiga}};
  much["nodes"][0]["disks"] = {{{"name", "ram"}, {"kind", "raid0"}, {"count", 2}, {"of", of}}};
  expect_complaint(much, "node-0.ram 120 GB");
}

TEST(Machines, TwoDisksOfOneNameAreRefused) {
  Json twice = experiment();
  twice["nodes"][0]["disks"] = {tmpfs(kGiga), tmpfs(kGiga)};
  expect_complaint(twice, "/nodes/disks: found two called \"ram\"");
}

TEST(Machines, TwoStoresOfOneNameAreRefused) {
  Json twice = experiment();
  twice["stores"].push_back(twice["stores"][0]);
  expect_complaint(twice, "/stores/1/name: found two stores called \"kv\"");
}

TEST(Machines, ADedicatedStoreNeedsANode) {
  Json nowhere = experiment();
  nowhere["stores"][0]["place"] = "dedicated";
  expect_complaint(nowhere, "/stores/0: found no \"node\"");
}

TEST(Machines, AWrongDiskIsNamed) {
  Json wrong = experiment();
  wrong["nodes"][0]["disks"] = {{{"name", "data"}, {"kind", "raid0"}}};
  expect_complaint(wrong, "/nodes/disks/data: ");
}

TEST(Machines, WhatIsAssumedFreeIsAKindOfResource) {
  Json wrong = experiment();
  wrong["assume_free"] = {"disk", "disc"};
  expect_complaint(wrong, "/assume_free/1: found \"disc\"");
}

TEST(Machines, ALocalDiskThatIsAServerIsWarnedOf) {
  in_child([] {
    Json wrong = experiment();
    wrong["pools"][0]["connector"]["local_disk"] = "kv";
    const std::string warnings = run_here(wrong).summary["warnings"].dump();
    EXPECT_NE(warnings.find("kv is a server"), std::string::npos) << warnings;
  });
}

TEST(Machines, AStoreBeginsWithNoMoreThanItsDiskHolds) {
  Json full = experiment();
  full["nodes"][0]["disks"] = {tmpfs(10 * kGiga)};
  full["stores"] = {{{"name", "kv"}, {"kind", "kvrocks"}, {"disk", "ram"}}};
  full["stores"][0]["initial_state"] = {{"filled_bytes", 11 * kGiga}};
  expect_complaint(full, "filled_bytes: found 11000000000");
}

// Files are read by the process itself: no way to a server and back.
TEST(Machines, FilesOfTheOwnNodeAreNoRoundTripAway) {
  const auto last_network_time = [](double round_trip) {
    return numbers_of_child([&] {
      Json files = experiment();
      files["nodes"][0]["disks"] = {tmpfs(10 * kGiga)};
      files["stores"] = {{{"name", "kv"}, {"kind", "files"}, {"disk", "ram"}}};
      files["network"] = {{"loopback_round_trip_s", round_trip}};
      const RequestRecord last = run_here(files).records.back();
      return std::vector<double>{
          last.fetch_stages[static_cast<std::size_t>(Stage::kNetwork)].count(),
          static_cast<double>(last.hit_tokens[2])};
    });
  };
  EXPECT_EQ(last_network_time(0.1), (std::vector<double>{0, 1024}));
}

TEST(Machines, AStoreThatNoConnectorAsksIsWarnedOf) {
  in_child([] {
    Json more = experiment();
    EXPECT_EQ(run_here(more).summary["warnings"].dump().find("no connector asks"),
              std::string::npos);
  });
  in_child([] {
    Json more = experiment();
    more["stores"].push_back(more["stores"][0]);
    more["stores"][1]["name"] = "idle";
    const std::string warnings = run_here(more).summary["warnings"].dump();
    EXPECT_NE(warnings.find("idle"), std::string::npos) << warnings;
  });
  in_child([] {
    Json none = experiment();
    none["pools"][0].erase("connector");
    const std::string warnings = run_here(none).summary["warnings"].dump();
    EXPECT_NE(warnings.find("no connector asks"), std::string::npos) << warnings;
  });
}

TEST(Machines, ADramTierThatRunningRequestsFillIsWarnedOf) {
  // 64 prompts of 3,200 tokens are 12,800 blocks of 2 MiB; those of 16 would fill 8 GB.
  const auto warned = [](const char* version, std::int64_t bytes) {
    Json many = experiment();
    many["workload"]["requests"] = 128;
    many["workload"]["prefix"]["groups"] = 128;
    many["workload"]["prefix"]["length"]["value"] = 3200;
    many["workload"]["output"]["value"] = 64;
    many["load"]["clients"] = 64;
    many.erase("stores");
    many["pools"][0]["gpu"] = "a100-80-sxm";
    many["pools"][0]["engine"] = {{"version", version}};
    many["pools"][0]["connector"] = {{"kind", "native"}, {"cpu_bytes", bytes}};
    return text_of_child([&] {
             return run_here(many).summary["warnings"].dump().find("no room") == std::string::npos
                        ? "no"
                        : "yes";
           }) == "yes";
  };
  EXPECT_TRUE(warned("0.13", 8 * kGiga));
  EXPECT_FALSE(warned("0.13", 60 * kGiga));
  EXPECT_FALSE(warned("0.24", 8 * kGiga));
}

// Tokens that the last request loads, of four chunks of 32 MiB, by so many threads.
double loaded_by(std::int64_t threads) {
  return numbers_of_child([&] {
           Json choosy = experiment();
           Json& connector = choosy["pools"][0]["connector"];
           connector["client"] = "resp";
           connector["client_costs"] = {
               {"threads", threads}, {"blocking", true}, {"receive_bytes_per_s", 0.4e9}};
           connector["load_policy"] = "when-faster";
           return std::vector<double>{
               static_cast<double>(run_here(choosy).records.back().hit_tokens[2])};
         })
      .front();
}

TEST(LoadPolicy, ThreadsOfAClientFetchSideBySide) {
  EXPECT_EQ(loaded_by(8), 1024);
  EXPECT_EQ(loaded_by(1), 0);  // some 0.4 s; computing takes 0.3 s
}

TEST(Lmcache, PrefetchesValuesThatAreStoredByLayer) {
  in_child([] {
    Json both = experiment();
    both["pools"][0]["connector"]["use_layerwise"] = true;
    both["pools"][0]["connector"]["enable_async_loading"] = true;
    EXPECT_EQ(run_here(both).records.back().hit_tokens[2], 1024);
  });
}

}  // namespace
}  // namespace kvsim
