// A real RocksDB in a folder of its own, set up from LsmOptions, and what it says of its work.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/store/lsm_tree.hpp"

namespace kvsim {

// What both report. Bytes as doubles: they are compared, not counted on.
struct LsmReport {
  double flushed = 0;
  double compaction_read = 0;
  double compaction_written = 0;
  double blob_flushed = 0;
  double blob_collected = 0;
  double wal = 0;
  double user = 0;
  double tables = 0;
  double blobs = 0;
  double flushes = 0;
  double compactions = 0;
  std::vector<double> files;  // by level

  [[nodiscard]] double write_amplification() const {
    return (wal + flushed + blob_flushed + compaction_written + blob_collected) / user;
  }
};

LsmReport report_of(const LsmTree& tree);

class WorkListener;

class RealLsm {
 public:
  // write_rate: limit of flushes and compactions together, bytes per second; 0 = none.
  explicit RealLsm(const LsmOptions& options, double write_rate = 0);
  ~RealLsm();

  void put(LsmKey key, Bytes value);
  void erase(LsmKey key);
  // Until no flush or compaction runs or is due.
  void settle();
  [[nodiscard]] LsmReport report() const;
  [[nodiscard]] std::vector<double> files() const;  // by level
  [[nodiscard]] double stalled_s() const;

 private:
  [[nodiscard]] std::string text_of(LsmKey key) const;
  [[nodiscard]] double number(const std::string& property) const;

  std::filesystem::path folder_;
  LsmOptions options_;
  rocksdb::Options settings_;
  std::shared_ptr<WorkListener> listener_;
  std::unique_ptr<rocksdb::DB> db_;
  std::string noise_;  // incompressible
  std::size_t noise_at_ = 0;
  double user_ = 0;
};

}  // namespace kvsim
