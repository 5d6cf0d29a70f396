// The table files of an LSM tree by level: sizes, targets, scores, debt, overlaps.
//
// Level 0 is ordered newest first and its files overlap; deeper levels are ordered by key and do
// not. Source: VersionStorageInfo in db/version_set.cc of RocksDB 9 (levelled compaction).
// Leaves out: TTL and periodic compaction, files marked by hand, draining of levels that became
// unnecessary.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "sim/store/lsm_file.hpp"

namespace kvsim {

using SstFiles = std::vector<std::unique_ptr<SstFile>>;

// The range of one list of files, and the bytes in it.
KeyRange range_of(const std::vector<SstFile*>& files);
Bytes bytes_of(const std::vector<SstFile*>& files);

class LsmLevels {
 public:
  explicit LsmLevels(const LsmOptions& options);

  struct Score {
    int level = 0;
    double score = 0;  // from 1 the level wants to be compacted
  };

  [[nodiscard]] int count() const { return static_cast<int>(levels_.size()); }
  [[nodiscard]] const SstFiles& files(int level) const { return at(level).files; }
  [[nodiscard]] Bytes bytes(int level) const { return at(level).bytes; }
  [[nodiscard]] Bytes target(int level) const { return at(level).target; }
  // Where level 0 is compacted to.
  [[nodiscard]] int base_level() const { return base_level_; }
  // The size at which files of a level are cut.
  [[nodiscard]] Bytes target_file(int level) const;
  // All levels but the last, highest score first.
  [[nodiscard]] std::vector<Score> scores() const;
  // What must be rewritten until every level is within its target, as RocksDB estimates it.
  [[nodiscard]] Bytes pending_compaction() const { return pending_; }
  // The deepest level that has files; 0 if none has.
  [[nodiscard]] int deepest() const;

  // Files of a level whose keys overlap the range. Of level 0: those that overlap the range or one
  // another of them, newest first.
  [[nodiscard]] std::vector<SstFile*> overlapping(int level, KeyRange range) const;
  // Of a level below 0: those that lie inside the range.
  [[nodiscard]] std::vector<SstFile*> inside(int level, KeyRange range) const;
  // Whether a file of a level below this one may hold the key.
  [[nodiscard]] bool may_exist_below(int level, LsmKey key) const;
  // The files of a level in the order in which RocksDB would compact them: first those with the
  // least overlap below them for their size (kMinOverlappingRatio); of equals, by key.
  struct Place {
    std::int64_t ratio = 0;
    LsmKey first = 0;
    FileId id = 0;
    auto operator<=>(const Place&) const = default;
  };
  using Order = std::map<Place, SstFile*>;
  [[nodiscard]] const Order& by_overlap(int level) const { return at(level).order; }
  // The file after this one in a level below 0; null if it is the last.
  [[nodiscard]] SstFile* next_to(int level, const SstFile& file) const;

  // Changes. `place` is the position in level 0; ignored below. refresh() ends a set of changes.
  void add(int level, SstFiles files, std::size_t place = 0);
  SstFiles remove(int level, const std::vector<SstFile*>& files);
  void refresh();
  void set_compacting(int level, SstFile& file, bool compacting);
  // The compensated size of a new file.
  [[nodiscard]] Bytes compensated(const SstFile& file) const;

 private:
  struct Level {
    SstFiles files;
    Bytes bytes{0};
    Bytes idle{0};  // compensated bytes of files that are not being compacted
    Bytes target{0};
    Order order;
  };

  [[nodiscard]] const Level& at(int level) const {
    return levels_[static_cast<std::size_t>(level)];
  }
  [[nodiscard]] Level& at(int level) { return levels_[static_cast<std::size_t>(level)]; }
  [[nodiscard]] std::pair<std::size_t, std::size_t> span_of(int level, KeyRange range) const;
  [[nodiscard]] std::vector<SstFile*> overlapping_level0(KeyRange range) const;
  [[nodiscard]] double level0_score() const;
  [[nodiscard]] static Place place_of(const SstFile& file) {
    return {file.overlap_ratio, file.range().first, file.id};
  }
  [[nodiscard]] std::int64_t overlap_ratio(int level, const SstFile& file) const;
  // Puts the files of a level that overlap the range in their place in the order again.
  void reorder(int level, KeyRange range);
  void forget(int level, const SstFile& file);
  void set_static_targets();
  void set_dynamic_targets();
  [[nodiscard]] Bytes estimate_pending() const;

  const LsmOptions& options_;
  std::vector<Level> levels_;
  int base_level_ = 1;
  Bytes pending_{0};
  Bytes value_bytes_{0};     // of all table files, for compensated()
  std::int64_t values_ = 0;  // entries that are not tombstones
};

}  // namespace kvsim
