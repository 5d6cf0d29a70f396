// Which files of an LSM tree are compacted next.
//
// Source: db/compaction/compaction_picker_level.cc, compaction_picker.cc and compaction.cc
// (IsTrivialMove) of RocksDB: levels by score, of a level the file with the least overlap, with all
// it overlaps in the next level, and files of its own level that come for free. Level 0 goes to the
// base level as a whole; while that is blocked, files of level 0 are merged among themselves.
// Leaves out: clean cuts (a key is in one file of a level only), moves out of level 0 one by one.
#pragma once

#include <list>
#include <optional>

#include "sim/store/lsm_levels.hpp"

namespace kvsim {

struct LsmCompaction {
  int from_level = 0;
  int to_level = 0;
  std::vector<SstFile*> inputs;   // of from_level; of level 0 newest first
  std::vector<SstFile*> parents;  // of to_level
  KeyRange range;
  bool trivial_move = false;
};

class LsmPicker {
 public:
  LsmPicker(const LsmOptions& options, const LsmLevels& levels)
      : options_(options), levels_(levels) {}

  // The next compaction that overlaps none of those that run.
  [[nodiscard]] std::optional<LsmCompaction> pick() const;

  // Level 0 takes part in one compaction at a time.
  [[nodiscard]] bool level0_busy() const;

  // Those that run, in the order in which they started. Elements stay where they are.
  std::list<LsmCompaction> running;

 private:
  [[nodiscard]] std::optional<LsmCompaction> pick_level0(int to) const;
  [[nodiscard]] std::optional<LsmCompaction> pick_within_level0() const;
  [[nodiscard]] std::optional<LsmCompaction> pick_below(int from) const;
  [[nodiscard]] bool add_parents(LsmCompaction& compaction) const;
  void extend_move(LsmCompaction& compaction) const;
  void add_free_inputs(LsmCompaction& compaction) const;
  void finish(LsmCompaction& compaction) const;
  [[nodiscard]] bool overlaps_running(KeyRange range, int to_level) const;
  [[nodiscard]] bool is_trivial_move(const LsmCompaction& compaction) const;

  const LsmOptions& options_;
  const LsmLevels& levels_;
};

}  // namespace kvsim
