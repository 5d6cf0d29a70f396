// What a flush or a compaction writes: merged entries, cut into files.
//
// Source: db/compaction/compaction_outputs.cc (ShouldStopBefore), compaction_iterator.cc,
// table/block_based/flush_block_policy.cc of RocksDB.
// Leaves out: snapshots, range deletions, compaction filters.
#pragma once

#include <vector>

#include "sim/store/lsm_levels.hpp"

namespace kvsim {

using LsmRun = std::vector<LsmEntry>;  // sorted by key, each key once

// One run of the newest entry of each key. `runs` are ordered newest first; `dropped` takes the
// entries that were overwritten.
LsmRun merge_runs(std::vector<LsmRun> runs, std::vector<LsmEntry>& dropped);

// The size of a table file as RocksDB's builder sees it grow.
class TableSize {
 public:
  TableSize(const LsmOptions& options, int level);
  void add(const LsmEntry& entry);
  // What is in finished blocks. The last block is not: with values bigger than a block the newest
  // entry does not count yet, and files grow that much beyond their target.
  [[nodiscard]] Bytes so_far() const { return Bytes(static_cast<std::int64_t>(written_)); }
  [[nodiscard]] Bytes finished() const;

 private:
  void end_block();

  const LsmOptions& options_;
  double stored_share_;
  double written_ = 0;
  Bytes block_{0};
  Bytes index_{0};
};

struct CutRules {
  int level = 0;
  Bytes target_file{0};
  int parallel = 1;                    // subcompactions: each writes files of its own
  std::vector<SstFile*> grandparents;  // of the next level that has files in the range
};

// Cuts a run into the files of a level; no cuts in level 0. Ids are given by the caller.
SstFiles cut_files(const LsmOptions& options, const CutRules& rules, const LsmRun& run);

}  // namespace kvsim
