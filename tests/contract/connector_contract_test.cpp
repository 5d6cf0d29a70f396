// What every connector must keep to, over every store that it can use.
//
// A new connector needs one entry in small(), a new store one in small_store(); both fail loudly
// when there is none.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "sim/base/registry.hpp"
#include "sim/kv/connector.hpp"
#include "sim/store/store.hpp"
#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kTokenBytes = 131072;  // Llama-3.1-8B
constexpr std::int64_t kBlockTokens = 16;
constexpr std::int64_t kMega = 1'000'000;

// A connector with so much DRAM, on a store called "kv" unless `store` is empty. Chunks are small.
struct Small {
  bool uses_stores = false;
  bool needs_store = false;
  Json options;       // with `dram` bytes; where a store is used, what hits comes from there
  Json nothing = {};  // a tier that can hold nothing and costs nothing; null = cannot be said
};

Small small(const std::string& kind, std::int64_t dram, bool store) {
  Json options = {{"kind", kind}};
  Json nothing = options;
  if (kind == "native") {
    options["cpu_bytes"] = dram;
    nothing["cpu_bytes"] = 0;
    if (store) options["secondary"] = {{{"store", "kv"}, {"timeout_s", 1}}};
    if (store) options["cpu_bytes"] = std::min(dram, 350 * kMega);
    return {true, false, options, nothing};
  }
  if (kind == "hicache") {
    options["size_bytes"] = dram;
    if (store) options["storage"] = "kv";
    nothing["size_bytes"] = 0;
    return {true, false, options, nothing};
  }
  if (kind == "kvbm") {
    options["cpu_bytes"] = dram;
    options["disk"] = "ssd";
    options["disk_bytes"] = 20'000 * kMega;
    options["disk_filter"] = store;
    if (store) options["remote"] = "kv";
    nothing["cpu_bytes"] = 0;
    return {true, false, options, nothing};
  }
  if (kind == "lmcache") {
    options["chunk_tokens"] = 64;
    options["max_local_cpu_bytes"] = dram;
    if (store) options["remote"] = "kv";
    if (store) options["local_cpu"] = false;
    nothing["max_local_cpu_bytes"] = 1;
    nothing["lookup_rpc_s"] = 0;
    return {true, false, options, nothing};
  }
  if (kind == "lmcache-mp") {
    options["chunk_tokens"] = 64;
    options["l1_bytes"] = store ? std::min(dram, 500 * kMega) : dram;
    if (store) options["l2"] = {{{"store", "kv"}, {"lookup_timeout_s", 0.5}, {"timeout_s", 1}}};
    nothing["l1_bytes"] = 0;
    return {true, false, options, nothing};
  }
  if (kind == "gateway") {
    options["chunk_tokens"] = 64;
    options["store"] = "kv";
    options["staging_bytes"] = dram;
    options["timeout_s"] = 1;
    return {true, true, options, nullptr};
  }
  if (kind == "trtllm-host") {
    options["host_cache_bytes"] = dram;
    nothing["host_cache_bytes"] = 0;
    return {false, false, options, nothing};
  }
  ADD_FAILURE() << "no small configuration for the connector " << kind;
  return {false, false, options, nullptr};
}

Json small_store(const std::string& kind, std::int64_t capacity) {
  Json out = {{"name", "kv"}, {"kind", kind}};
  if (kind == "redis" || kind == "valkey") {
    out["maxmemory_bytes"] = capacity;
    out["maxmemory_policy"] = "allkeys-lru";
  } else if (kind == "kvrocks") {
    out["disk"] = "ssd";
    out["max_db_bytes"] = capacity;
    out["lsm"] = {{"write_buffer_bytes", 64 * kMega}};
  } else if (kind == "files") {
    out["disk"] = "ssd";
    out["capacity_bytes"] = capacity;
  } else if (kind == "mooncake") {
    out["segment_bytes"] = capacity;
  } else {
    ADD_FAILURE() << "no small configuration for the store " << kind;
  }
  return out;
}

struct Case {
  std::string connector;
  std::string store;  // empty: without
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.connector << "/" << one.store; }

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::string& connector : Registry<Connector>::instance().names()) {
    const Small some = small(connector, kMega, false);
    if (!some.needs_store) out.push_back({connector, ""});
    if (!some.uses_stores) continue;
    for (const std::string& store : Registry<Store>::instance().names())
      out.push_back({connector, store});
  }
  return out;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name =
      info.param.connector + (info.param.store.empty() ? "" : "_" + info.param.store);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class EveryConnector : public testing::TestWithParam<Case> {
 protected:
  static bool on_a_store() { return !GetParam().store.empty(); }
  static Json connector(std::int64_t dram = 20'000 * kMega) {
    return small(GetParam().connector, dram, on_a_store()).options;
  }
  static void put_in(Json& experiment, const Json& connector,
                     std::int64_t store_bytes = 20'000 * kMega, const Json& outages = {}) {
    experiment["pools"][0]["connector"] = connector;
    Json disk = {{"name", "ssd"}, {"kind", "tmpfs"}, {"capacity_bytes", 1e12}};
    experiment["nodes"] = {{{"name", "node"}, {"gpus", 8}, {"disks", {disk}}}};
    experiment.erase("stores");
    if (!on_a_store()) return;
    experiment["stores"] = {small_store(GetParam().store, store_bytes)};
    if (!outages.is_null()) experiment["stores"][0]["outages"] = outages;
  }
  // Small random worlds with this connector: memory for two or three requests, so that
  // preemption happens beside loads, and clients that give up.
  static Json world(std::uint64_t seed) {
    Json out = random_experiment(seed);
    out["pools"][0]["llm"] = "llama-3.1-8b";
    out["pools"][0]["engine"]["block_size"] = kBlockTokens;
    out["pools"][0]["engine"]["num_gpu_blocks_override"] = 45 + 20 * (seed % 3);
    out["workload"]["prefix"] = {{"groups", 3}, {"length", {{"kind", "constant"}, {"value", 100}}}};
    put_in(out, connector());
    if (seed % 3 == 0) out["load"]["client_timeout_s"] = 0.4;
    return out;
  }
  static constexpr std::uint64_t kWorlds = 6;
};

// Prompts of 512-token pieces by number, one request each 20 s, on one engine with memory for 2,544
// tokens that computes 1,000 a second.
Json one_by_one(const std::string& file, const std::vector<std::vector<int>>& prompts) {
  std::ofstream out(file);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    out << Json{{"timestamp", 20'000 * i},
                {"input_length", 512 * prompts[i].size()},
                {"output_length", 2},
                {"hash_ids", prompts[i]}}
               .dump()
        << "\n";
  Json engine = {{"block_size", kBlockTokens},
                 {"num_gpu_blocks_override", 160},
                 {"max_num_batched_tokens", 4096},
                 {"step_time",
                  {{"kind", "constant"},
                   {"fixed_s", 0.01},
                   {"prefill_s_per_token", 1e-3},
                   {"decode_s_per_sequence", 0}}}};
  return {{"schema", "kvsim.experiment/1"},
          {"workload", {{"path", file}, {"format", "mooncake"}}},
          {"pools", {{{"llm", "llama-3.1-8b"}, {"gpu", "h100-sxm"}, {"engine", engine}}}}};
}

std::string trace_file() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  std::string name = fmt::format("connector_{}.jsonl", test.name());
  std::replace(name.begin(), name.end(), '/', '_');
  return testing::TempDir() + name;
}

std::int64_t lower_hits(const RequestRecord& record) {
  return std::accumulate(record.hit_tokens.begin() + 1, record.hit_tokens.end(), std::int64_t{0});
}

double time_to_first_token(const RequestRecord& record) {
  return (record.first_token - record.sent).count();
}

TEST_P(EveryConnector, ASecondRequestWithTheSamePromptHitsAndIsNotSlower) {
  Json experiment = one_by_one(trace_file(), {{1, 2}, {11, 12, 13, 14}, {1, 2}});
  put_in(experiment, connector());
  in_child([&] {
    const WorldResult result = run_here(experiment);
    ASSERT_EQ(result.records.size(), 3U);
    EXPECT_EQ(lower_hits(result.records[0]), 0);
    EXPECT_GE(lower_hits(result.records[2]), 256);
    EXPECT_LT(time_to_first_token(result.records[2]), time_to_first_token(result.records[0]));
    EXPECT_GT(result.records[2].fetch, Seconds(0));
  });
}

TEST_P(EveryConnector, NothingHitsThatWasNotStored) {
  Json experiment = one_by_one(trace_file(), {{1, 2}, {3, 4, 5, 6}, {7, 2}, {8, 1}, {9, 3, 4, 5}});
  put_in(experiment, connector());
  in_child([&] {
    for (const RequestRecord& record : run_here(experiment).records)
      EXPECT_EQ(lower_hits(record), 0) << "request " << record.id;
  });
}

TEST_P(EveryConnector, HitsAreNoMoreThanWhatCameBefore) {
  // The third shares one piece with the first; the last three with the one before it.
  Json experiment = one_by_one(
      trace_file(), {{1, 2}, {11, 12, 13, 14}, {1, 3}, {21, 22, 23, 24}, {21, 22, 23, 9}});
  put_in(experiment, connector());
  in_child([&] {
    const WorldResult result = run_here(experiment);
    EXPECT_LE(lower_hits(result.records[2]), 512);
    EXPECT_LE(lower_hits(result.records[4]), 3 * 512);
    EXPECT_EQ(lower_hits(result.records[1]), 0);
    EXPECT_EQ(lower_hits(result.records[3]), 0);
  });
}

TEST_P(EveryConnector, ATierThatCanHoldNothingIsNoTier) {
  const Small some = small(GetParam().connector, kMega, false);
  if (on_a_store() || some.nothing.is_null()) GTEST_SKIP() << "nothing to compare";
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = world(seed);
    put_in(experiment, some.nothing);
    const std::string with = run_to_text(experiment);
    experiment["pools"][0].erase("connector");
    ASSERT_EQ(with, run_to_text(experiment)) << "world " << seed;
  }
}

TEST_P(EveryConnector, WhatLiesInDramIsNoMoreThanItSays) {
  const std::int64_t dram = 300 * kBlockTokens * kTokenBytes / 2;
  const std::vector<std::vector<int>> prompts = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12},
                                                 {1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
  Json experiment = one_by_one(trace_file(), prompts);
  put_in(experiment, connector(dram));
  in_child([&] {
    const Json cache = run_here(experiment).summary["cache"];
    if (!cache["stored_bytes"].contains("dram")) return;
    const auto stored = cache["stored_bytes"]["dram"].get<std::int64_t>();
    const auto evicted = cache["evicted_tokens"]["dram"].get<std::int64_t>() * kTokenBytes;
    EXPECT_LE(stored - evicted, dram);
  });
}

// All requests complete, and the parts of each one's time to first token add up.
void expect_whole(const Json& experiment, const std::string& what) {
  const std::string complaints = text_of_child([&] {
    const WorldResult result = run_here(experiment);
    return requests_lost(experiment, result) + times_that_do_not_add_up(result);
  });
  ASSERT_EQ(complaints, "") << what << ": " << experiment.dump();
}

TEST_P(EveryConnector, LosesNoRequestUnderPreemptionAndTimeOuts) {
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed)
    expect_whole(world(seed), fmt::format("world {}", seed));
}

TEST_P(EveryConnector, TheRandomWorldsUseIt) {
  double hits = 0;
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    const Json experiment = world(seed);
    hits += numbers_of_child([&] {
              double sum = 0;
              for (const RequestRecord& record : run_here(experiment).records)
                sum += static_cast<double>(lower_hits(record));
              return std::vector<double>{sum};
            }).front();
  }
  EXPECT_GT(hits, 1000);
}

TEST_P(EveryConnector, LosesNoRequestWhenItsMemoryIsTiny) {
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = world(seed);
    for (const std::int64_t chunks : {1, 3}) {
      put_in(experiment, connector(chunks * 64 * kTokenBytes));
      expect_whole(experiment, fmt::format("world {}, {} chunks", seed, chunks));
    }
  }
}

TEST_P(EveryConnector, LosesNoRequestWhenItsStoreFails) {
  if (!on_a_store()) GTEST_SKIP() << "without a store";
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = world(seed);
    for (const char* kind : {"dead", "hung"}) {
      for (const char* restart : {"warm", "cold"}) {
        const Json outages = {
            {{"at_s", 0.3}, {"for_s", 0.2}, {"kind", kind}, {"restart", restart}},
            {{"at_s", 0.7}, {"for_s", 1e6}, {"kind", kind}, {"restart", restart}}};
        put_in(experiment, connector(), 20'000 * kMega, outages);
        expect_whole(experiment, fmt::format("world {}, {}, {}", seed, kind, restart));
      }
    }
  }
}

TEST_P(EveryConnector, LosesNoRequestWhenItsStoreIsFull) {
  if (!on_a_store()) GTEST_SKIP() << "without a store";
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = world(seed);
    for (const std::int64_t chunks : {1, 4}) {
      put_in(experiment, connector(), chunks * 65 * kTokenBytes);
      expect_whole(experiment, fmt::format("world {}, {} chunks", seed, chunks));
    }
  }
}

TEST_P(EveryConnector, DoesTheSameAgain) {
  const Json experiment = world(2);
  EXPECT_EQ(summary_of_child(experiment), summary_of_child(experiment));
}

TEST_P(EveryConnector, CoalescingStepsChangesNothing) {
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = world(seed);
    experiment["pools"][0]["engine"]["coalesce_steps"] = true;
    const std::string on = run_to_text(experiment, true);
    experiment["pools"][0]["engine"]["coalesce_steps"] = false;
    ASSERT_EQ(on, run_to_text(experiment, true)) << "world " << seed << experiment.dump();
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, EveryConnector, testing::ValuesIn(cases()), name_of);

}  // namespace
}  // namespace kvsim
