#include "sim/store/lsm_merge.hpp"

#include <algorithm>
#include <optional>

namespace kvsim {

namespace {

LsmRun merge_two(const LsmRun& newer, const LsmRun& older, std::vector<LsmEntry>& dropped) {
  LsmRun merged;
  merged.reserve(newer.size() + older.size());
  auto old = older.begin();
  for (const LsmEntry& entry : newer) {
    while (old != older.end() && old->key < entry.key) merged.push_back(*old++);
    if (old != older.end() && old->key == entry.key) dropped.push_back(*old++);
    merged.push_back(entry);
  }
  merged.insert(merged.end(), old, older.end());
  return merged;
}

// Which files of the next level the output under construction overlaps.
class Grandparents {
 public:
  explicit Grandparents(const std::vector<SstFile*>& files) : files_(files) {}

  // Moves on to a key; returns how many file boundaries lie before it.
  int advance(LsmKey key) {
    int crossed = 0;
    while (next_ < files_.size()) {
      const SstFile& file = *files_[next_];
      if (in_gap_) {
        if (key < file.range().first) break;
        if (seen_) overlapped_ += file.bytes;
        in_gap_ = false;
      } else {
        if (key <= file.range().last) break;
        in_gap_ = true;
        ++next_;
      }
      crossed += seen_ ? 1 : 0;
    }
    if (!seen_ && !in_gap_) overlapped_ = files_[next_]->bytes;
    boundaries_ += crossed;
    seen_ = true;
    return crossed;
  }

  void start_file() {
    boundaries_ = 0;
    overlapped_ = in_gap_ ? Bytes(0) : files_[next_]->bytes;
  }

  [[nodiscard]] bool in_gap() const { return in_gap_; }
  [[nodiscard]] Bytes overlapped() const { return overlapped_; }
  [[nodiscard]] int boundaries() const { return boundaries_; }

 private:
  const std::vector<SstFile*>& files_;
  std::size_t next_ = 0;
  bool in_gap_ = true;
  bool seen_ = false;
  Bytes overlapped_{0};
  int boundaries_ = 0;
};

class Cutter {
 public:
  Cutter(const LsmOptions& options, const CutRules& rules, const LsmRun& run)
      : options_(options), rules_(rules), grandparents_(rules.grandparents) {
    const bool aligned = options.level_compaction_dynamic_file_size && !rules.grandparents.empty();
    aligned_ = aligned;
    max_file_ = aligned ? rules.target_file * 2 : rules.target_file;
    if (rules.parallel > 1) set_share(run);
  }

  // Whether a new file starts before this entry, given the one under construction.
  bool cut_before(const LsmEntry& entry, Bytes size, bool open) {
    const Bytes overlapped_before = grandparents_.overlapped();
    const int crossed = grandparents_.advance(entry.key);
    const bool cut = open && rules_.level > 0 &&
                     (share_ends(entry) || size >= max_file_ ||
                      (crossed > 0 && cut_at_boundary(size, crossed, overlapped_before)));
    if (cut) grandparents_.start_file();
    return cut;
  }

 private:
  void set_share(const LsmRun& run) {
    Bytes total(0);
    for (const LsmEntry& entry : run) total += LsmFormat::table_entry(options_, entry);
    // A subcompaction gets at least one file.
    share_ = std::max(total / rules_.parallel, rules_.target_file);
  }

  bool share_ends(const LsmEntry& entry) {
    if (share_ == Bytes(0)) return false;
    const bool ends = in_share_ >= share_;
    if (ends) in_share_ = Bytes(0);
    in_share_ += LsmFormat::table_entry(options_, entry);
    return ends;
  }

  [[nodiscard]] bool cut_at_boundary(Bytes size, int crossed, Bytes overlapped_before) const {
    const Bytes overlapped = grandparents_.overlapped();
    if (overlapped + size > options_.max_compaction_or_default()) return true;
    if (!aligned_) return false;
    // A whole file of the next level lies between this entry and the one before.
    const int skippable = grandparents_.in_gap() ? 2 : 3;
    if (crossed >= skippable && overlapped - overlapped_before > rules_.target_file / 8) {
      return true;
    }
    // From half the target on at a boundary, later the more boundaries were passed.
    const int per_cent = 50 + std::min(grandparents_.boundaries() * 5, 40);
    return size >= Bytes((rules_.target_file.count() + 99) / 100 * per_cent);
  }

  const LsmOptions& options_;
  const CutRules& rules_;
  Grandparents grandparents_;
  bool aligned_ = false;
  Bytes max_file_{0};
  Bytes share_{0};
  Bytes in_share_{0};
};

}  // namespace

LsmRun merge_runs(std::vector<LsmRun> runs, std::vector<LsmEntry>& dropped) {
  while (runs.size() > 1) {
    std::vector<LsmRun> merged;
    for (std::size_t i = 0; i + 1 < runs.size(); i += 2) {
      merged.push_back(merge_two(runs[i], runs[i + 1], dropped));
    }
    if (runs.size() % 2 == 1) merged.push_back(std::move(runs.back()));
    runs = std::move(merged);
  }
  return runs.empty() ? LsmRun{} : std::move(runs.front());
}

TableSize::TableSize(const LsmOptions& options, int level)
    : options_(options), stored_share_(options.stored_share(level)) {}

void TableSize::add(const LsmEntry& entry) {
  // FlushBlockBySizePolicy: a block ends before the entry that would take it past its size, unless
  // it is less than 90 % full.
  const Bytes bytes = LsmFormat::table_entry(options_, entry);
  if (block_ >= options_.block ||
      (block_ + bytes > options_.block && block_.real() > 0.9 * options_.block.real())) {
    end_block();
  }
  block_ += bytes;
}

void TableSize::end_block() {
  written_ += block_.real() * stored_share_;
  block_ = Bytes(0);
  index_ += LsmFormat::kTableBlock;
}

Bytes TableSize::finished() const {
  TableSize all = *this;
  if (all.block_ > Bytes(0)) all.end_block();
  return all.so_far() + all.index_ + LsmFormat::kTableFile;
}

SstFiles cut_files(const LsmOptions& options, const CutRules& rules, const LsmRun& run) {
  SstFiles files;
  Cutter cutter(options, rules, run);
  std::optional<TableSize> size;
  const auto close = [&] {
    if (size) files.back()->bytes = size->finished();
  };
  for (const LsmEntry& entry : run) {
    const bool cut = cutter.cut_before(entry, size ? size->so_far() : Bytes(0), size.has_value());
    if (cut || !size) {
      close();
      files.push_back(std::make_unique<SstFile>());
      size.emplace(options, rules.level);
    }
    size->add(entry);
    files.back()->entries.push_back(entry);
    files.back()->tombstones += entry.tombstone() ? 1 : 0;
    if (entry.in_blob_file()) {
      FileId& oldest = files.back()->oldest_blob;
      oldest = oldest == 0 ? entry.blob : std::min<FileId>(oldest, entry.blob);
    }
  }
  close();
  return files;
}

}  // namespace kvsim
