// What must hold in every cluster, over random small ones that nothing breaks.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"
#include "tests/child.hpp"
#include "tests/law/cluster_world.hpp"

namespace kvsim {
namespace {

constexpr std::uint64_t kClusters = 100;

// Complaints of all clusters, by law: each runs once, for all tests.
class ClusterLaws : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (std::uint64_t seed = 1; seed <= kClusters; ++seed) {
      const Json cluster = random_cluster(seed);
      std::istringstream found(
          text_of_child([&] { return broken_laws(cluster, run_here(cluster)); }));
      for (std::string line; std::getline(found, line);)
        complaints_[line.substr(0, line.find(':'))] +=
            "cluster " + std::to_string(seed) + ": " + line + "\n";
    }
  }
  static std::string complaints(const std::string& law) { return complaints_[law]; }

 private:
  static inline std::map<std::string, std::string> complaints_;
};

TEST_F(ClusterLaws, EveryRequestEndsOnceAndCountsAddUp) { EXPECT_EQ(complaints("counts"), ""); }

TEST_F(ClusterLaws, NothingIsReceivedBeforeItIsSent) { EXPECT_EQ(complaints("causality"), ""); }

TEST_F(ClusterLaws, PartsOfTheTimeToFirstTokenAddUpAndNoneIsNegative) {
  EXPECT_EQ(complaints("parts"), "");
}

TEST_F(ClusterLaws, AnswersAndHitsAreNoLongerThanAskedFor) { EXPECT_EQ(complaints("tokens"), ""); }

TEST_F(ClusterLaws, NothingIsBusyMoreThanAllTheTime) { EXPECT_EQ(complaints("capacity"), ""); }

TEST(Clusters, EqualSeedsGiveEqualBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Json cluster = random_cluster(seed);
    ASSERT_EQ(summary_of_child(cluster), summary_of_child(cluster)) << "cluster " << seed;
  }
}

// Where an autoscaler or a router looks at gauges, both ways of sleeping show it the same.
TEST(Clusters, SleepingThroughRunsOfStepsChangesNoRequest) {
  for (std::uint64_t seed = 1; seed <= kClusters; ++seed) {
    Json cluster = random_cluster(seed);
    const auto records = [&](bool coalesce) {
      for (Json& pool : cluster["pools"]) pool["engine"]["coalesce_steps"] = coalesce;
      return text_of_child([&] { return records_as_text(run_here(cluster)); });
    };
    ASSERT_EQ(records(true), records(false)) << "cluster " << seed << ": " << cluster.dump();
  }
}

// Prefill and decode replicas on machines of their own, no prompt shares anything.
TEST(Clusters, PromptsComputedElsewhereCrossTheNetworkWhole) {
  for (const char* first_token : {"decode", "prefill"}) {
    const Json engine = {{"block_size", 16}, {"enable_prefix_caching", false}};
    const Json pool = {{"llm", "llama-3.1-8b"}, {"gpu", "h100-sxm"}, {"engine", engine}};
    Json prefill = pool;
    prefill["name"] = prefill["role"] = "prefill";
    Json decode = pool;
    decode["name"] = decode["role"] = "decode";
    decode["node"] = "far";
    const Json cluster = {{"schema", "kvsim.experiment/1"},
                          {"workload", {{"kind", "generate"}, {"requests", 30}}},
                          {"load", {{"kind", "poisson"}, {"rate_per_s", 10}}},
                          {"pools", {prefill, decode}},
                          {"nodes", {{{"name", "node"}}, {{"name", "far"}}}},
                          {"disaggregation", {{"first_token", first_token}}}};
    EXPECT_EQ(text_of_child([&] {
                const WorldResult result = run_here(cluster);
                std::int64_t tokens = 0;  // in whole blocks; 131,072 bytes each
                for (const RequestRecord& r : result.records) tokens += r.input_tokens / 16 * 16;
                double sent = 0;
                for (const Json& resource : result.summary["resources"])
                  if (resource["kind"] == "network") sent += resource["bytes"].get<double>();
                // Over a card of either machine.
                return std::string(sent >= 2 * 131072.0 * static_cast<double>(tokens) ? "" : "few");
              }),
              "")
        << first_token;
  }
}

TEST(Clusters, AllTheRoutersAreAmongThem) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 2 * kClusters; ++seed)
    ++seen[random_cluster(seed)["router"]["kind"].get<std::string>()];
  seen["direct"] = 1;  // requests here name no replica
  for (const std::string& name : Registry<Router>::instance().names())
    EXPECT_GT(seen[name], 0) << name;
}

}  // namespace
}  // namespace kvsim
