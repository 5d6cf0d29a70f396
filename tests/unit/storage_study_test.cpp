// Rows of a study of disks are simulated by what its template says of them.
#include "sim/validate/storage_study.hpp"

#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "tests/child.hpp"

namespace kvsim {
namespace {

// 100 MB/s reads and 50 MB/s writes, no latency, no spread.
const Json kStudy = {
    {"disk",
     {{"disk",
       {{"kind", "cloud-volume"},
        {"bytes_per_s", 100e6},
        {"write_bytes_per_s", 50e6},
        {"read_latency_s", 0},
        {"write_latency_s", 0}}},
      {"request_bytes", {{"$column", "workload"}, {"pattern", "bs=(\\d+)"}}},
      {"jobs", {{"$column", "load_level"}}},
      {"load", {{"$column", "workload"}, {"pattern", "read|write"}, {"default", "read"}}},
      {"side", {{"$column", "workload"}, {"pattern", "read|write"}, {"default", "read"}}},
      {"mixed_reads", 0.5},
      {"megabyte_bytes", 1e6},
      {"duration_s", 100}}}};

ValidationCase row(const char* id, const char* workload, const char* jobs) {
  return {{{"case_id", id}, {"workload", workload}, {"load_level", jobs}}};
}

// Of a study of `rows`: metric by metric.
struct Question {
  const char* id;
  const char* metric;
  const char* stat;
  const char* unit;
};
std::vector<double> answers(const std::vector<ValidationCase>& rows,
                            const std::vector<Question>& questions) {
  return numbers_of_child([&] {
    std::vector<const ValidationCase*> cases;
    for (const ValidationCase& made : rows) cases.push_back(&made);
    const StorageStudy study(kStudy, "test", cases);
    std::vector<double> out;
    for (const Question& q : questions)
      out.push_back(study.measure(q.id, q.metric, q.stat, q.unit).value_or(-1));
    return out;
  });
}

TEST(StorageStudy, AMetricWithoutALoadIsOfTheRowsOwn) {
  const auto got = answers({row("r", "bs=1000000 read", "1"), row("w", "bs=1000000 write", "1")},
                           {{"r", "bandwidth", "mean", "MB/s"},
                            {"r", "iops", "mean", "1/s"},
                            {"r", "latency", "p50", "ms"},
                            {"w", "bandwidth", "mean", "MB/s"},
                            {"w", "latency", "p99", "ms"}});
  EXPECT_NEAR(got[0], 100, 1);
  EXPECT_NEAR(got[1], 100, 1);
  EXPECT_NEAR(got[2], 10, 1e-6);
  EXPECT_NEAR(got[3], 50, 1);
  EXPECT_NEAR(got[4], 20, 1e-6);
}

TEST(StorageStudy, JobsShareTheDisk) {
  const auto got = answers({row("r", "bs=1000000 read", "16")},
                           {{"r", "bandwidth", "mean", "MB/s"}, {"r", "latency", "mean", "s"}});
  EXPECT_NEAR(got[0], 100, 1);
  EXPECT_NEAR(got[1], 0.16, 1e-3);
}

TEST(StorageStudy, AMetricNamesItsLoad) {
  const auto got =
      answers({row("all", "bs=1000000", "1")}, {{"all", "read_bandwidth", "mean", "MB/s"},
                                                {"all", "write_bandwidth", "mean", "MB/s"},
                                                {"all", "mixed_read_bandwidth", "mean", "MB/s"},
                                                {"all", "mixed_read_latency", "max", "ms"}});
  EXPECT_NEAR(got[0], 100, 1);
  EXPECT_NEAR(got[1], 50, 1);
  // One job, as many of either: a read and a write together take 30 ms.
  EXPECT_NEAR(got[2], 1 / 0.030, 2);
  EXPECT_NEAR(got[3], 10, 1e-6);
}

TEST(StorageStudy, AVolumesSpreadLeavesItsRate) {
  Json spread = kStudy;
  spread["disk"]["disk"]["read_spread"] = 2;
  const ValidationCase made = row("r", "bs=1000000 read", "1");
  const auto got = numbers_of_child([&] {
    const StorageStudy study(spread, "test", {&made});
    return std::vector<double>{*study.measure("r", "bandwidth", "mean", "MB/s"),
                               *study.measure("r", "latency", "p50", "s"),
                               *study.measure("r", "latency", "p99", "s")};
  });
  EXPECT_NEAR(got[0], 100, 2);
  EXPECT_NEAR(got[2] / got[1], 2, 0.1);
}

TEST(StorageStudy, WhatItDoesNotKnowHasNoPrediction) {
  const auto got = answers(
      {row("r", "bs=1000000 read", "1")},
      {{"r", "ttft", "mean", "s"}, {"r", "latency", "mean", "MB/s"}, {"x", "iops", "mean", "1/s"}});
  EXPECT_EQ(got, (std::vector<double>{-1, -1, -1}));
}

}  // namespace
}  // namespace kvsim
