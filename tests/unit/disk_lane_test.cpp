// The disk lane: what its bench does to files, what its fit finds in samples that the twin made up.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "sim/base/errors.hpp"
#include "sim/calibrate/lane_disk_fit.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_disk_file.hpp"
#include "sim/probe/bench_disk_queue.hpp"
#include "sim/probe/bench_disk_sustained.hpp"
#include "tests/disk_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
const Patience kShort{
    .warm_up = Seconds(0.01), .least = Seconds(0.02), .most = Seconds(0.1), .operations = 4};

// On a disk, for the build folder lies on one.
struct TestFolder {
  Scratch scratch{std::filesystem::current_path().string(), Bytes(64 * kMiB)};
  [[nodiscard]] std::unique_ptr<Bench> bench(Json options) {
    options["kind"] = "disk";
    if (!options.contains("file_bytes")) options["file_bytes"] = 16 * kMiB;
    const ConfigNode node(options, "test");
    return Registry<Bench>::instance().make(node, {.scratch = scratch});
  }
};

std::unique_ptr<LaneModel> lane() {
  const Json name = "disk";
  return Registry<LaneModel>::instance().make(ConfigNode(name, "test"), {});
}

std::string what_it_throws(const std::function<void()>& body) {
  try {
    body();
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return "";
}

TEST(DiskBench, EveryOperationIsMeasured) {
  TestFolder folder;
  const auto bench = folder.bench(Json::object());
  for (const std::string& name : bench->operations()) {
    if (name == "write/sustained" && !DiskQueue::works()) continue;
    const Bytes bytes(name == "write/sustained" ? 32 * kMiB : 64 * kKiB);
    const Sample sample = bench->measure({name, bytes, 3}, kShort);
    EXPECT_GT(sample.p50, Seconds(0)) << name;
    EXPECT_EQ(sample.seen("read_p50_s").has_value(), name == "mix/70") << name;
  }
}

TEST(DiskBench, ThreadsDoWhatIoUringIsForbiddenTo) {
  TestFolder folder;
  const auto bench = folder.bench({{"queue", "threads"}});
  EXPECT_EQ(bench->identity()["queue"], "threads");
  EXPECT_GE(bench->measure({"read", Bytes(8 * kKiB), 4}, kShort).count, 4);
  EXPECT_NE(what_it_throws([&] {
              (void)bench->measure({"write/sustained", Bytes(kMiB), 1}, kShort);
            }).find("needs io_uring"),
            std::string::npos);
}

TEST(DiskBench, AFileSystemInMemoryIsMeasuredAndSaidToBeNotDirectOrToBeTmpfs) {
  if (access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "no /dev/shm";
  TestFolder folder;
  const auto bench = folder.bench({{"folders", {"/dev/shm"}}});
  EXPECT_GT(bench->measure({"read", Bytes(64 * kKiB), 2}, kShort).count, 0);
  EXPECT_EQ(bench->identity()["storage"][0]["file_system"], "tmpfs");
}

TEST(DiskBench, NothingIsLeftInAFolderEvenWhileItRuns) {
  TestFolder folder;
  const auto bench = folder.bench(Json::object());
  (void)bench->measure({"write", Bytes(kMiB), 2}, kShort);
  EXPECT_TRUE(std::filesystem::is_empty(folder.scratch.path()));
}

TEST(DiskBench, WhatCannotBeDoneIsRefusedInOneLine) {
  TestFolder folder;
  const auto bench = folder.bench(Json::object());
  EXPECT_NE(what_it_throws([&] {
              (void)bench->measure({"erase", Bytes(1), 1}, kShort);
            }).find("\"erase\"; allowed: read, write"),
            std::string::npos);
  EXPECT_NE(what_it_throws([&] {
              (void)bench->measure({"read", Bytes(17 * kMiB), 1}, kShort);
            }).find("allowed: at most file_bytes"),
            std::string::npos);
  EXPECT_NE(what_it_throws([&] {
              (void)folder.bench({{"folders", {"/nonexistent"}}});
            }).find("/nonexistent: cannot make a file"),
            std::string::npos);
}

TEST(DiskBench, AStripeOverFoldersIsReadBackAsItWasWritten) {
  if (!DiskQueue::works()) GTEST_SKIP() << "io_uring is forbidden here";
  TestFolder folder;
  TestFolder second;
  const auto bench = folder.bench(
      {{"folders", {folder.scratch.path(), second.scratch.path()}}, {"chunk_bytes", 64 * kKiB}});
  EXPECT_EQ(bench->identity()["storage"].size(), 2U);
  for (const char* name : {"write", "read", "mix/70", "read/value"})
    EXPECT_GT(bench->measure({name, Bytes(kMiB), 3}, kShort).count, 0) << name;
}

TEST(DiskFile, AStripeIsCutAtChunksInTurn) {
  TestFolder folder;
  const std::string path = folder.scratch.path();
  const DiskFile file({.folders = {path, path}, .bytes = Bytes(kMiB), .chunk = Bytes(64 * kKiB)});
  std::vector<DiskFile::Part> parts;
  file.parts_of(96 * kKiB, 128 * kKiB, parts);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].position, 32U * kKiB);  // the second file's first chunk
  EXPECT_EQ(parts[0].bytes, 32U * kKiB);
  EXPECT_EQ(parts[1].position, 64U * kKiB);  // the first file's second one
  EXPECT_EQ(parts[2].position, 64U * kKiB);
  EXPECT_EQ(parts[2].bytes, 32U * kKiB);
  EXPECT_EQ(parts[2].file, parts[0].file);
  EXPECT_NE(parts[1].file, parts[0].file);
}

TEST(DiskFile, WhatLiesElsewhereOrIsDamagedIsNoticed) {
  TestFolder folder;
  DiskFile file(
      {.folders = {folder.scratch.path()}, .bytes = Bytes(kMiB), .chunk = Bytes(64 * kKiB)});
  const std::byte* data = file.content(8 * kKiB, 8 * kKiB);
  EXPECT_NO_THROW(file.check(data, 8 * kKiB, 8 * kKiB));
  EXPECT_THROW(file.check(data, 12 * kKiB, 8 * kKiB), EnvironmentError);
  std::vector<std::byte> damaged(data, data + 8 * kKiB);
  damaged.back() ^= std::byte{1};
  EXPECT_THROW(file.check(damaged.data(), 8 * kKiB, 8 * kKiB), EnvironmentError);
}

TEST(WriteDecline, IsFoundWhereTheRateFallsForGood) {
  std::vector<double> periods(20, 100);
  EXPECT_EQ(decline_of(periods).last, 0);
  periods[5] = 10;  // one slow one
  EXPECT_EQ(decline_of(periods).last, 0);
  periods.insert(periods.end(), 6, 40);
  const WriteDecline decline = decline_of(periods);
  EXPECT_EQ(decline.first, 100);
  EXPECT_EQ(decline.last, 40);
  EXPECT_EQ(decline.before, 19 * 100 + 10);
}

// A drive and an emulated disk, with round figures.
Json drive_figures(double serial_share) {
  return {{"kind", "nvme"},          {"profile", ""},
          {"read_bytes_per_s", 2e9}, {"write_bytes_per_s", 1e9},
          {"read_iops", 2e5},        {"write_iops", 4e4},
          {"read_latency_s", 80e-6}, {"write_latency_s", 20e-6},
          {"large_read_s", 200e-6},  {"serial_share", serial_share},
          {"mixing_penalty", 0.5}};
}

// What the twin says of the whole plan, as samples.
std::vector<Sample> twins_samples(const Figures& figures, const std::vector<BenchOperation>& plan) {
  const std::vector<double> times = numbers_of_child([&] {
    World world;
    Tasks tasks(world);
    std::vector<double> out;
    for (const BenchOperation& operation : plan)
      out.push_back(evaluate(*lane(), tasks, operation, figures).count());
    return out;
  });
  std::vector<Sample> out;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    out.push_back(summarise(plan[i], {times[i], times[i]}));
    if (plan[i].name.starts_with("mix/"))
      out.back().extra = {{"read_p50_s", times[i]}, {"write_p50_s", times[i]}};
  }
  return out;
}

std::vector<BenchOperation> full_plan() {
  std::vector<BenchOperation> plan = lane()->plan(true);
  for (const char* name : {"read", "write"}) plan.push_back({name, Bytes(4 * kKiB), 256});
  return plan;
}

TEST(DiskLane, TheLawIsWhatThePlugInDoes) {
  for (const double share : {0.0, 1.0}) {
    const DiskLaw law{
        .read = {2e9, 2e5, 80e-6, 200e-6}, .write = {1e9, 4e4, 20e-6, 0}, .serial_share = share};
    for (const Sample& sample : twins_samples({{"disk", drive_figures(share)}}, full_plan())) {
      const BenchOperation& operation = sample.operation;
      if (operation.name.starts_with("mix/") || operation.name == "write/sustained") continue;
      const double seconds =
          law.seconds(operation.name.starts_with("write"), operation.bytes.real(),
                      static_cast<double>(operation.at_once));
      // Two to four that work one behind another may stay in step, and then share the device
      // beside waiting for each other: the law leaves that out.
      const bool in_step = share > 0 && operation.at_once > 1 && operation.at_once <= 4;
      EXPECT_NEAR(sample.mean.count() / seconds, 1,
                  in_step     ? 0.5
                  : share > 0 ? 0.2
                              : 0.05)
          << operation.name << " " << operation.bytes.count() << " x" << operation.at_once
          << " share " << share;
    }
  }
}

TEST(DiskLane, TheFitFindsTheConstantsThatMadeTheSamples) {
  for (const double share : {0.0, 1.0}) {
    const Json truth = drive_figures(share);
    Figures figures;
    const auto found = lane()->fit(twins_samples({{"disk", truth}}, full_plan()), figures);
    std::map<std::string, FittedFigure> by_path;
    for (const FittedFigure& figure : found) by_path[figure.path] = figure;
    for (const std::string name : {"read_bytes_per_s", "write_bytes_per_s", "read_iops",
                                   "write_iops", "read_latency_s", "write_latency_s"}) {
      // Behind one another, waits of 20 us do not show beside 25 us of each.
      if (share > 0 && name == "write_latency_s") continue;
      const double value = truth[name];
      EXPECT_NEAR(figures["disk"][name].get<double>() / value, 1, share > 0 ? 0.2 : 0.1)
          << name << share;
      EXPECT_LE(by_path["/disk/" + name].low, value * 1.2) << name;
      EXPECT_GE(by_path["/disk/" + name].high, value * 0.8) << name;
    }
    EXPECT_NEAR(figures["disk"]["large_read_s"].get<double>(), 200e-6, 40e-6) << share;
    EXPECT_NEAR(figures["disk"]["serial_share"].get<double>(), share, 0.1);
    EXPECT_NEAR(figures["disk"]["mixing_penalty"].get<double>(), 0.5, 0.2) << share;
  }
}

TEST(DiskLane, AFewWildSamplesDoNotMoveTheFit) {
  std::vector<Sample> samples = twins_samples({{"disk", drive_figures(0)}}, full_plan());
  for (std::size_t i = 3; i < samples.size(); i += 9) samples[i].p50 = samples[i].p50 * 5.0;
  Figures figures;
  (void)lane()->fit(samples, figures);
  EXPECT_NEAR(figures["disk"]["read_bytes_per_s"].get<double>(), 2e9, 0.2e9);
  EXPECT_NEAR(figures["disk"]["read_latency_s"].get<double>(), 80e-6, 16e-6);
}

TEST(DiskLane, WhatWasNotMeasuredStaysAsItIs) {
  std::vector<Sample> reads;
  for (const Sample& sample : twins_samples({{"disk", drive_figures(0)}}, full_plan()))
    if (sample.operation.name == "read") reads.push_back(sample);
  Figures figures = {{"disk", {{"kind", "nvme"}, {"profile", ""}, {"capacity_bytes", 7}}}};
  (void)lane()->fit(reads, figures);
  EXPECT_EQ(figures["disk"]["capacity_bytes"], 7);
  EXPECT_FALSE(figures["disk"].contains("write_iops"));
  Figures nothing;
  EXPECT_TRUE(lane()->fit({}, nothing).empty());
  EXPECT_FALSE(nothing.contains("disk"));
}

TEST(DiskLane, ADeclineOfWritesBecomesABuffer) {
  Sample sample = summarise({"write/sustained", Bytes(100 * kMiB), 1}, {1.0});
  sample.extra = {
      {"first_bytes_per_s", 2e9}, {"last_bytes_per_s", 0.5e9}, {"full_rate_bytes", 8e9}};
  Figures figures;
  (void)lane()->fit({sample}, figures);
  EXPECT_EQ(figures["disk"]["write_buffer_bytes"], 8'000'000'000);
  EXPECT_EQ(figures["disk"]["sustained_write_bytes_per_s"], 0.5e9);
}

TEST(DiskLane, AQuickPlanIsShort) {
  EXPECT_LE(lane()->plan(false).size(), 20U);
  EXPECT_GT(lane()->plan(true).size(), 50U);
}

}  // namespace
}  // namespace kvsim
