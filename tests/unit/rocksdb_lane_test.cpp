// RocksDB: the bench does what its operations say, and its twin's constants come back out of
// samples.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_rocksdb.hpp"
#include "sim/des/tasks.hpp"
#include "sim/probe/bench.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr Patience kBriefly{
    .warm_up = Seconds(0), .least = Seconds(0), .most = Seconds(0.02), .operations = 4};

class RocksdbBenchTest : public testing::Test {
 protected:
  static std::unique_ptr<Bench> make(Scratch& scratch, Json options = Json::object()) {
    options["kind"] = "rocksdb";
    // Small ones: these tests are not after times.
    options["working_set_bytes"] = 4 * kMiB;
    options["round_bytes"] = 16 * kMiB;
    return Registry<Bench>::instance().make(ConfigNode(options, "test"), {scratch});
  }
  Scratch scratch_{std::filesystem::temp_directory_path().string(), Bytes(1)};
};

TEST_F(RocksdbBenchTest, EveryOperationCanBeMeasured) {
  const auto bench = make(scratch_);
  for (const std::string& name : bench->operations()) {
    const Sample sample = bench->measure({name, Bytes(256 * 1024), 2}, kBriefly);
    EXPECT_GE(sample.count, 1) << name;
    EXPECT_GT(sample.p50, Seconds(0)) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch_.path())) << "it cleans up after itself";
}

TEST_F(RocksdbBenchTest, WhereAValueComesFromShowsInItsStages) {
  const auto bench = make(scratch_);
  const auto sees = [&](const std::string& name, const std::string& stage) {
    return bench->measure({name, Bytes(kMiB), 1}, kBriefly).seen(stage).has_value();
  };
  EXPECT_TRUE(sees("put", "log_s"));
  EXPECT_TRUE(sees("put", "memtable_s"));
  EXPECT_TRUE(sees("get/memtable", "memtable_s"));
  EXPECT_FALSE(sees("get/memtable", "block_read_s"));
  EXPECT_TRUE(sees("get/page-cache", "block_read_s"));
  EXPECT_TRUE(sees("get/page-cache", "block_checksum_s"));
  EXPECT_FALSE(sees("get/block-cache", "block_read_s"));
  EXPECT_TRUE(sees("get/disk", "block_read_s"));
}

TEST_F(RocksdbBenchTest, BlobsCompressionAndDirectReadsAreOptions) {
  for (const Json& options : {Json{{"enable_blob_files", true}}, Json{{"compression", "zstd"}},
                              Json{{"direct_reads", true}}, Json{{"wal", false}}}) {
    const auto bench = make(scratch_, options);
    for (const char* name : {"put", "get/page-cache", "get/disk"}) {
      try {
        EXPECT_GE(bench->measure({name, Bytes(256 * 1024), 1}, kBriefly).count, 1) << options;
      } catch (const EnvironmentError& error) {
        // Some file systems refuse O_DIRECT.
        EXPECT_TRUE(options.contains("direct_reads")) << error.what();
      }
    }
  }
}

TEST_F(RocksdbBenchTest, ItNeedsRoomForWhatItWrites) {
  const auto bench = make(scratch_);
  EXPECT_GE(bench->needs({"put", Bytes(64 * kMiB), 16}), Bytes(16 * 64 * kMiB));
  EXPECT_GE(bench->needs({"get/disk", Bytes(64 * kMiB), 4}), Bytes(4 * 64 * kMiB));
}

TEST_F(RocksdbBenchTest, AFolderThatCannotBeUsedIsTheMachinesFault) {
  const auto bench = make(scratch_);
  std::filesystem::remove_all(scratch_.path());
  // Its parent is gone, and so it cannot be made.
  std::ofstream(scratch_.path()) << "a file";
  EXPECT_THROW((void)bench->measure({"put", Bytes(65'536), 1}, kBriefly), EnvironmentError);
  std::filesystem::remove(scratch_.path());
}

// --- The twin ----------------------------------------------------------------------------------

// A machine whose constants are easy to calculate with.
Figures machine() {
  return {{"cpu",
           {{"cores", 2},
            {"copy_bytes_per_s", 10e9},
            {"memory_bytes_per_s", 1e12},
            {"fresh_bytes_per_s", 2e9}}},
          {"disk",
           {{"kind", "nvme"},
            {"read_bytes_per_s", 1e9},
            {"read_latency_s", 1e-4},
            {"large_read_s", 0},
            {"read_iops", 1e6}}},
          {"stores",
           {{"kvrocks",
             {{"lookup_s", 5e-6},
              {"crc32c_bytes_per_s", 4e9},
              {"log_copies", 2},
              {"checksum_bytes_per_s", 20e9},
              {"page_cache_copies", 1.5},
              {"small_copies", 0.5},
              {"small_value_bytes", 6 * kMiB},
              {"buffered_read_share", 0.5}}}}}};
}

const LaneModel& twin() {
  static const Json kName = "rocksdb";
  static const auto kModel = Registry<LaneModel>::instance().make(ConfigNode(kName, "test"), {});
  return *kModel;
}

double says(const BenchOperation& operation) {
  World world;
  Tasks tasks(world);
  return evaluate(twin(), tasks, operation, machine()).count();
}

constexpr double kValue = 4.0 * kMiB;
constexpr double kCopy = kValue / 10e9;
constexpr double kPut = kCopy + (2 * kCopy + kValue / 4e9) + kCopy;  // batch, log, memtable
constexpr double kRead = 0.5 * kCopy + kValue / 20e9;

TEST(RocksdbTwin, OneCallerByHand) {
  const Bytes bytes(4 * kMiB);
  EXPECT_NEAR(says({"put", bytes, 1}), kPut, 1e-9);
  EXPECT_NEAR(says({"get/missing", bytes, 1}), 5e-6, 1e-9);
  EXPECT_NEAR(says({"get/memtable", bytes, 1}), 5e-6 + kCopy, 1e-9);
  EXPECT_NEAR(says({"get/block-cache", bytes, 1}), 5e-6 + kCopy, 1e-9);
  EXPECT_NEAR(says({"get/page-cache", bytes, 1}), 5e-6 + kRead + kCopy, 1e-9);
  EXPECT_GT(says({"get/disk", bytes, 1}), kValue / 0.5e9);
}

TEST(RocksdbTwin, ReadersShareTheCoresAndWritersTheLog) {
  const Bytes bytes(4 * kMiB);
  const double one = says({"get/page-cache", bytes, 1});
  EXPECT_NEAR(says({"get/page-cache", bytes, 2}), one, 0.01 * one) << "two cores";
  EXPECT_NEAR(says({"get/page-cache", bytes, 16}), 8 * one, 0.02 * 8 * one);
  EXPECT_NEAR(says({"put", bytes, 16}), 16 * (kPut - kCopy), 0.06 * 16 * kPut);
}

// Samples as the twin takes, with the stages by hand.
std::vector<Sample> samples() {
  std::vector<Sample> out;
  const auto add = [&out](const std::string& name, std::int64_t mib,
                          std::vector<std::pair<std::string, double>> extra) {
    const BenchOperation operation{name, Bytes(mib * kMiB), 1};
    const double time = says(operation);
    Sample sample = summarise(operation, {time, time});
    sample.extra = std::move(extra);
    out.push_back(sample);
  };
  for (const std::int64_t mib : {1, 4, 16}) {
    const double value = static_cast<double>(mib * kMiB);
    add("put", mib, {{"log_s", 2 * value / 10e9 + value / 4e9}, {"log_write_s", 2 * value / 10e9}});
    add("get/page-cache", mib, {{"block_checksum_s", value / 20e9}});
    add("get/disk", mib, {});
  }
  add("get/missing", 1, {});
  return out;
}

TEST(RocksdbTwin, ConstantsComeBackOutOfItsOwnSamples) {
  const Figures truth = machine();
  Figures found = truth;
  found["stores"] = Json::object();
  const std::vector<FittedFigure> figures = twin().fit(samples(), found);
  EXPECT_EQ(figures.size(), 7U);
  for (const FittedFigure& figure : figures) {
    const double wanted = truth.at(Json::json_pointer(figure.path)).get<double>();
    EXPECT_NEAR(figure.value, wanted, 0.01 * wanted) << figure.path;
    EXPECT_EQ(found.at(Json::json_pointer(figure.path)), figure.value);
    EXPECT_LE(figure.low, figure.value);
    EXPECT_GE(figure.high, figure.value);
  }
}

TEST(RocksdbTwin, TimeInWhichOthersRanIsNoWork) {
  std::vector<Sample> slowed = samples();
  for (Sample& sample : slowed) {
    if (sample.operation.name != "put") continue;
    sample.extra.emplace_back("cpu_s", sample.p50.count());
    sample.p50 = sample.p50 * 3;
    for (auto& [name, value] : sample.extra)
      if (name != "cpu_s") value *= 3;
  }
  Figures figures = machine();
  (void)twin().fit(slowed, figures);
  EXPECT_NEAR(figures["stores"]["kvrocks"]["crc32c_bytes_per_s"].get<double>(), 4e9, 4e7);
  EXPECT_NEAR(figures["stores"]["kvrocks"]["log_copies"].get<double>(), 2, 0.02);
}

TEST(RocksdbTwin, WhatWasNotMeasuredStaysAsItIs) {
  Figures figures = machine();
  EXPECT_TRUE(twin().fit({}, figures).empty());
  EXPECT_EQ(figures, machine());
}

TEST(RocksdbTwin, PlansAreOfOperationsThatTheBenchHas) {
  Scratch scratch(std::filesystem::temp_directory_path().string(), Bytes(1));
  const Json name = "rocksdb";
  const auto bench = Registry<Bench>::instance().make(ConfigNode(name, "test"), {scratch});
  const std::vector<std::string> names = bench->operations();
  constexpr Bytes kMost{6LL << 30};
  for (const bool full : {false, true})
    for (const BenchOperation& operation : twin().plan(full)) {
      EXPECT_NE(std::find(names.begin(), names.end(), operation.name), names.end());
      EXPECT_LE(bench->needs(operation), kMost);
    }
}

}  // namespace
}  // namespace kvsim
