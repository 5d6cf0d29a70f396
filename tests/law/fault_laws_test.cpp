// Whatever breaks, no request is lost, every run ends, and the accounts are those of a healthy run.
//
// KVSIM_FAULTS and KVSIM_FIRST_FAULT widen or replay the search.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "tests/child.hpp"
#include "tests/law/cluster_world.hpp"

namespace kvsim {
namespace {

// A run takes hundredths of a second; one that does not end is ended, and fails.
constexpr unsigned kLongestRun = 60;  // seconds

std::uint64_t from_environment(const char* name, std::uint64_t standard) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : standard;
}
std::uint64_t first() { return from_environment("KVSIM_FIRST_FAULT", 1); }
std::uint64_t count() { return from_environment("KVSIM_FAULTS", KVSIM_FAULT_SCHEDULES); }

TEST(FaultLaws, NoScheduleOfFaultsLosesARequestOrNeverEnds) {
  for (std::uint64_t seed = first(); seed < first() + count(); ++seed) {
    const Json cluster = random_faults(seed);
    std::string complaints;
    try {
      complaints = text_of_child([&] {
        alarm(kLongestRun);
        return broken_laws(cluster, run_here(cluster));
      });
    } catch (const std::exception& error) {
      complaints = error.what();
    }
    EXPECT_EQ(complaints, "") << "schedule " << seed << ": " << cluster.dump();
  }
}

TEST(FaultLaws, EqualSeedsGiveEqualBytes) {
  for (std::uint64_t seed = first(); seed < first() + count(); seed += 5) {
    const Json cluster = random_faults(seed);
    ASSERT_EQ(summary_of_child(cluster), summary_of_child(cluster)) << "schedule " << seed;
  }
}

TEST(FaultLaws, SleepingThroughRunsOfStepsChangesNoRequest) {
  for (std::uint64_t seed = first(); seed < first() + count(); seed += 2) {
    Json cluster = random_faults(seed);
    const auto records = [&](bool coalesce) {
      for (Json& pool : cluster["pools"]) pool["engine"]["coalesce_steps"] = coalesce;
      return text_of_child([&] { return records_as_text(run_here(cluster)); });
    };
    EXPECT_EQ(records(true), records(false)) << "schedule " << seed << ": " << cluster.dump();
  }
}

// Faults that begin within 3 s and last 4.5 s at most; a replica starts within a second, and what
// it lost is noticed within half a second.
TEST(FaultLaws, WhenEverythingWorksAgainNothingFails) {
  std::size_t late = 0;
  for (std::uint64_t seed = first(); seed < first() + count(); seed += 2) {
    Json cluster = random_faults(seed);
    Json& faults = cluster["faults"];
    for (std::size_t i = faults.size(); i-- > 0;)
      if (!faults[i].contains("at_s") || !faults[i].contains("duration_s")) faults.erase(i);
    if (faults.empty()) continue;
    cluster.erase("measure");
    cluster["autoscaler"] = "static";
    cluster["load"] = {{"kind", "poisson"}, {"rate_per_s", 4}};
    const std::string failed = text_of_child([&] {
      std::string text;
      for (const RequestRecord& record : run_here(cluster).records)
        if (record.sent > Seconds(10))
          text += record.outcome == Outcome::kFailed ? std::to_string(record.id) + " failed " : "+";
      return text;
    });
    EXPECT_EQ(failed.find("failed"), std::string::npos)
        << failed << "in schedule " << seed << ": " << cluster.dump();
    late += failed.size();
  }
  EXPECT_GT(late, 20U);
}

TEST(FaultLaws, FewerRequestsFailWhenClientsTryAgain) {
  std::int64_t without = 0;
  std::int64_t with = 0;
  for (std::uint64_t seed = first(); seed < first() + 20; ++seed) {
    Json cluster = random_faults(seed);
    const auto failed = [&](std::int64_t attempts) {
      cluster["retry"] = {{"attempts", attempts}, {"backoff_s", 0.2}};
      const Json summary = Json::parse(summary_of_child(cluster));
      return summary["requests"]["failed"].get<std::int64_t>();
    };
    without += failed(1);
    with += failed(6);
  }
  EXPECT_GT(without, 0);
  EXPECT_LT(with, without);
}

TEST(FaultLaws, SchedulesOfEveryKindAreAmongThem) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Json faults = random_faults(seed)["faults"];
    for (const Json& fault : faults) ++seen[fault["kind"].get<std::string>()];
  }
  for (const char* kind : {"replica-crash", "node-loss", "store-restart", "link-degradation",
                           "slow-disk", "network-partition"})
    EXPECT_GT(seen[kind], 2) << kind;
}

}  // namespace
}  // namespace kvsim
