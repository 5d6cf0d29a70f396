// When RocksDB slows writes down or stops them, and how far down.
//
// Source: db/column_family.cc (GetWriteStallConditionAndCause, RecalculateWriteStallConditions,
// SetupDelay) and db/write_controller.cc of RocksDB. One column family.
// Leaves out: low-priority writes, several column families that delay at once.
#pragma once

#include "sim/base/units.hpp"
#include "sim/store/lsm_options.hpp"

namespace kvsim {

struct WriteCondition {
  enum class State { kNormal, kDelayed, kStopped };
  enum class Cause { kNone, kMemtables, kLevel0Files, kPendingBytes };
  State state = State::kNormal;
  Cause cause = Cause::kNone;
  bool near_stop = false;  // level 0 or the debt is close to where writes stop

  bool operator==(const WriteCondition&) const = default;
};

// What the condition depends on.
struct WritePressure {
  int immutable_memtables = 0;  // full and not yet flushed
  int level0_files = 0;
  Bytes pending_compaction{0};
};

// The first that holds, in RocksDB's order: all stops before all delays.
WriteCondition write_condition(const LsmOptions& options, const WritePressure& pressure);

// The rate of delayed writes. The caller says when the tree has changed, and asks for each write
// how long it must wait; time is the caller's.
class WriteController {
 public:
  explicit WriteController(const LsmOptions& options);

  // To be called whenever a memtable is switched and whenever a job's result is installed.
  void update(const WriteCondition& condition, Bytes pending_compaction);
  // How long a write waits before it goes on; 0 unless delayed. Charges the bytes. A writer that
  // waits goes on at once when the condition becomes normal.
  [[nodiscard]] Seconds delay(Bytes bytes, Seconds now);

  [[nodiscard]] const WriteCondition& condition() const { return condition_; }
  [[nodiscard]] Bandwidth rate() const { return rate_; }

 private:
  void adjust_rate(bool penalise, Bytes pending_compaction);

  Bandwidth max_rate_;
  Bandwidth rate_;
  WriteCondition condition_;
  Bytes previous_pending_{0};
  double credit_bytes_ = 0;
  Seconds next_refill_{-1};  // negative: none yet
};

}  // namespace kvsim
