// LsmTree against the RocksDB library: the same operations under the same options, scaled down.
//
// Both sides are left to settle every few writes, so that what is compared is what RocksDB decides
// (which files, when, into what), not how fast a machine is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/oracle/rocksdb_harness.hpp"

namespace kvsim {
namespace {

constexpr Bytes kKiB{1024};

struct Scenario {
  std::string name;
  int writes = 6000;
  std::int64_t value_min = 4096;
  std::int64_t value_max = 4096;
  std::uint64_t keys = 0;  // 0: every key is new
  double erased = 0;       // share of operations
  int settle_every = 16;   // 0: never but at the end
  std::function<void(LsmOptions&)> change = [](LsmOptions&) {};
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

LsmOptions base_options() {
  LsmOptions options;
  options.write_buffer = kKiB * 512;
  options.min_write_buffer_number_to_merge = 1;
  options.memtable_bloom_ratio = 0;
  options.target_file_size_base = kKiB * 256;
  options.max_bytes_for_level_base = kKiB * 1024;
  options.max_bytes_for_level_multiplier = 5;
  options.max_subcompactions = 1;
  options.max_total_wal = Bytes(0);
  options.speedup_by_debt = false;  // RocksDB 7.8 is installed
  options.blob_file = kKiB * 1024;
  options.min_blob = kKiB;
  options.key = Bytes(16);
  options.block = kKiB * 4;
  return options;
}

void settle(LsmTree& tree) {
  while (const auto job = tree.take_job()) tree.finish(job->id);
}

void add_files(std::vector<double>& sums, const std::vector<double>& files) {
  sums.resize(files.size());
  for (std::size_t level = 0; level < files.size(); ++level) sums[level] += files[level];
}

std::vector<double> divided(std::vector<double> sums, int by) {
  for (double& sum : sums) sum /= by;
  return sums;
}

// Files by level are means over the second half: a level fills and empties all the time.
struct Both {
  LsmReport real;
  LsmReport model;
};

Both run(const Scenario& scenario) {
  LsmOptions options = base_options();
  scenario.change(options);
  RealLsm real(options);
  LsmTree model(options);
  Rng random = stream(3, scenario.name);
  struct {
    std::vector<double> real;
    std::vector<double> model;
  } mean;
  int samples = 0;
  for (int i = 0; i < scenario.writes; ++i) {
    const LsmKey key = scenario.keys > 0 ? mix64(random.below(scenario.keys)) : random.bits();
    const auto spread = static_cast<std::uint64_t>(scenario.value_max - scenario.value_min + 1);
    const Bytes value(scenario.value_min + static_cast<std::int64_t>(random.below(spread)));
    if (random.uniform() < scenario.erased) {
      real.erase(key);
      model.erase(key);
    } else {
      real.put(key, value);
      model.put(key, value);
    }
    settle(model);
    if (i % scenario.settle_every != 0) continue;
    real.settle();
    if (i > scenario.writes / 2) {
      add_files(mean.real, real.files());
      add_files(mean.model, report_of(model).files);
      ++samples;
    }
  }
  real.settle();
  Both both{real.report(), report_of(model)};
  both.real.files = divided(mean.real, samples);
  both.model.files = divided(mean.model, samples);
  return both;
}

void expect_close(const char* what, double model, double real, double share, double slack) {
  fmt::print("  {:<22}{:>14.1f}{:>14.1f}{:>8.2f}\n", what, model, real,
             real > 0 ? model / real : 0.0);
  EXPECT_NEAR(model, real, share * real + slack) << what;
}

void compare(const Scenario& scenario) {
  const auto [real, model] = run(scenario);
  fmt::print("{}\n  {:<22}{:>14}{:>14}{:>8}\n", scenario.name, "", "model", "RocksDB", "ratio");
  // Absolute slack: one flush.
  const double flush = 512 * 1024;
  expect_close("wal", model.wal, real.wal, 0.02, 64 * 1024);
  expect_close("flushed", model.flushed, real.flushed, 0.05, flush);
  expect_close("flushes", model.flushes, real.flushes, 0.05, 1);
  expect_close("blobs flushed", model.blob_flushed, real.blob_flushed, 0.05, flush);
  expect_close("compactions read", model.compaction_read, real.compaction_read, 0.25, flush);
  expect_close("compactions written", model.compaction_written, real.compaction_written, 0.25,
               flush);
  expect_close("compactions", model.compactions, real.compactions, 0.25, 3);
  expect_close("blobs collected", model.blob_collected, real.blob_collected, 0.25, flush);
  expect_close("tables", model.tables, real.tables, 0.1, flush);
  expect_close("blob files", model.blobs, real.blobs, 0.25, 2 * flush);
  for (std::size_t level = 0; level < real.files.size(); ++level) {
    if (model.files[level] + real.files[level] == 0) continue;
    expect_close(fmt::format("files in level {}", level).c_str(), model.files[level],
                 real.files[level], 0.25, 2);
  }
  fmt::print("  {:<22}{:>14.2f}{:>14.2f}\n", "write amplification", model.write_amplification(),
             real.write_amplification());
  EXPECT_NEAR(model.write_amplification(), real.write_amplification(),
              0.25 * real.write_amplification());
}

class RocksDbTest : public testing::TestWithParam<Scenario> {};

TEST_P(RocksDbTest, WritesAsMuchAsTheLibrary) { compare(GetParam()); }

void with_blobs(LsmOptions& options) { options.enable_blob_files = true; }

void blobs_uncollected(LsmOptions& options) {
  options.enable_blob_files = true;
  options.enable_blob_garbage_collection = false;
}

void blobs_forced(LsmOptions& options) {
  options.enable_blob_files = true;
  options.blob_garbage_collection_force_threshold = 0.5;
  options.level0_file_num_compaction_trigger = 8;
}

void small_level1(LsmOptions& options) {
  options.write_buffer = kKiB * 512;
  options.min_write_buffer_number_to_merge = 2;
  options.max_bytes_for_level_base = kKiB * 256;
  options.target_file_size_base = kKiB * 1024;
}

void dynamic_levels(LsmOptions& options) { options.level_compaction_dynamic_level_bytes = true; }

void kvrocks_memtables(LsmOptions& options) {
  options.min_write_buffer_number_to_merge = 2;
  options.memtable_bloom_ratio = 0.1;
  options.max_subcompactions = 2;
}

const Scenario kInsert{"inserts"};
const Scenario kBlobs{"inserts_blobs", 6000, 4096, 4096, 0, 0, 16, with_blobs};

INSTANTIATE_TEST_SUITE_P(
    , RocksDbTest,
    testing::Values(kInsert, kBlobs,
                    Scenario{"inserts_blobs_uncollected", 6000, 4096, 4096, 0, 0, 16,
                             blobs_uncollected},
                    Scenario{"overwrites", 8000, 4096, 4096, 2000, 0, 16},
                    Scenario{"overwrites_blobs", 8000, 4096, 4096, 2000, 0, 16, with_blobs},
                    Scenario{"forced_collection", 8000, 4096, 4096, 2000, 0, 16, blobs_forced},
                    Scenario{"erasures", 8000, 4096, 4096, 3000, 0.3, 16},
                    Scenario{"erasures_blobs", 8000, 4096, 4096, 3000, 0.3, 16, with_blobs},
                    Scenario{"big_values", 2500, 4096, 65536, 0, 0, 4},
                    Scenario{"level0_files_above_level1", 6000, 4096, 8192, 0, 0, 16, small_level1},
                    Scenario{"dynamic_levels", 8000, 4096, 8192, 0, 0, 16, dynamic_levels},
                    Scenario{"kvrocks_memtables", 6000, 8192, 16384, 0, 0, 8, kvrocks_memtables}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kvsim
