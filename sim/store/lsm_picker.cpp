#include "sim/store/lsm_picker.hpp"

#include <algorithm>
#include <limits>

namespace kvsim {

namespace {

constexpr std::size_t kMinFilesWithinLevel0 = 4;  // kMinFilesForIntraL0Compaction
constexpr std::size_t kMaxFilesMoved = 4;         // kMaxMultiTrivialMove

bool any_compacting(const std::vector<SstFile*>& files) {
  return std::any_of(files.begin(), files.end(), [](const SstFile* f) { return f->compacting; });
}

KeyRange hull(const LsmCompaction& compaction) {
  KeyRange range = range_of(compaction.inputs);
  if (!compaction.parents.empty()) range.include(range_of(compaction.parents));
  return range;
}

}  // namespace

std::optional<LsmCompaction> LsmPicker::pick() const {
  bool base_waits = false;  // level 0 must get into the base level before that is compacted on
  for (const auto& [level, score] : levels_.scores()) {
    if (score < 1) break;
    if (base_waits && level == levels_.base_level()) continue;
    auto found = level == 0 ? pick_level0(levels_.base_level()) : pick_below(level);
    if (!found && level == 0) {
      base_waits = true;
      found = pick_within_level0();
    }
    if (found) return found;
  }
  return std::nullopt;
}

bool LsmPicker::level0_busy() const {
  return std::any_of(running.begin(), running.end(),
                     [](const LsmCompaction& other) { return other.from_level == 0; });
}

bool LsmPicker::overlaps_running(KeyRange range, int to_level) const {
  return std::any_of(running.begin(), running.end(), [&](const LsmCompaction& other) {
    return other.to_level == to_level && other.range.overlaps(range);
  });
}

std::optional<LsmCompaction> LsmPicker::pick_level0(int to) const {
  if (level0_busy()) return std::nullopt;
  for (const auto& [order, first] : levels_.by_overlap(0)) {
    LsmCompaction compaction{0, to, levels_.overlapping(0, first->range())};
    if (overlaps_running(range_of(compaction.inputs), to) || !add_parents(compaction)) continue;
    if (!compaction.parents.empty()) {
      compaction.inputs = levels_.overlapping(0, hull(compaction));
      if (!add_parents(compaction)) continue;
    }
    if (overlaps_running(hull(compaction), to)) continue;
    finish(compaction);
    return compaction;
  }
  return std::nullopt;
}

std::optional<LsmCompaction> LsmPicker::pick_within_level0() const {
  const SstFiles& files = levels_.files(0);
  const auto trigger = static_cast<std::size_t>(options_.level0_file_num_compaction_trigger);
  if (files.size() < trigger + 2 || files.front()->compacting) return std::nullopt;
  // From the newest on, as long as each file more makes the work per file less.
  Bytes work = files.front()->bytes;
  Bytes per_file(std::numeric_limits<std::int64_t>::max());
  std::size_t end = 1;
  for (; end < files.size(); ++end) {
    work += files[end]->bytes;
    const Bytes now = work / static_cast<std::int64_t>(end);
    if (files[end]->compacting || now > per_file || work > options_.max_compaction_or_default()) {
      break;
    }
    per_file = now;
  }
  if (end < kMinFilesWithinLevel0) return std::nullopt;
  LsmCompaction compaction{0, 0, {}};
  for (std::size_t i = 0; i < end; ++i) compaction.inputs.push_back(files[i].get());
  finish(compaction);
  return compaction;
}

std::optional<LsmCompaction> LsmPicker::pick_below(int from) const {
  for (const auto& [order, first] : levels_.by_overlap(from)) {
    if (first->compacting || overlaps_running(first->range(), from + 1)) continue;
    LsmCompaction compaction{from, from + 1, {first}};
    if (!add_parents(compaction)) continue;
    if (compaction.parents.empty()) {
      extend_move(compaction);
    } else {
      add_free_inputs(compaction);
    }
    // RocksDB gives up here until something has changed.
    if (overlaps_running(hull(compaction), from + 1)) return std::nullopt;
    finish(compaction);
    return compaction;
  }
  return std::nullopt;
}

bool LsmPicker::add_parents(LsmCompaction& compaction) const {
  compaction.parents = levels_.overlapping(compaction.to_level, range_of(compaction.inputs));
  return !any_compacting(compaction.parents);
}

void LsmPicker::extend_move(LsmCompaction& compaction) const {
  const int from = compaction.from_level;
  KeyRange range = compaction.inputs.front()->range();
  Bytes bytes = compaction.inputs.front()->bytes;
  for (SstFile* next = levels_.next_to(from, *compaction.inputs.front()); next != nullptr;
       next = levels_.next_to(from, *next)) {
    range.include(next->range());
    bytes += next->bytes;
    if (compaction.inputs.size() == kMaxFilesMoved || next->compacting ||
        !levels_.overlapping(compaction.to_level, range).empty() ||
        bytes > options_.max_compaction_or_default()) {
      break;
    }
    compaction.inputs.push_back(next);
  }
}

// More files of the level that bring no more files of the next one with them.
void LsmPicker::add_free_inputs(LsmCompaction& compaction) const {
  const int from = compaction.from_level;
  const KeyRange range = hull(compaction);
  auto wider = levels_.overlapping(from, range);
  if (wider.size() > compaction.inputs.size() && !any_compacting(wider)) {
    const auto parents = levels_.overlapping(compaction.to_level, range_of(wider));
    if (!any_compacting(parents) && parents.size() == compaction.parents.size()) {
      compaction.inputs = std::move(wider);
      return;
    }
  }
  auto inner = levels_.inside(from, range);
  if (inner.size() > compaction.inputs.size() && !any_compacting(inner)) {
    compaction.inputs = std::move(inner);
  }
}

void LsmPicker::finish(LsmCompaction& compaction) const {
  compaction.range = hull(compaction);
  compaction.trivial_move = is_trivial_move(compaction);
}

bool LsmPicker::is_trivial_move(const LsmCompaction& compaction) const {
  const int to = compaction.to_level;
  if (compaction.from_level == to || !compaction.parents.empty()) return false;
  if (options_.compresses(compaction.from_level) != options_.compresses(to)) return false;
  if (compaction.from_level == 0 && levels_.files(0).size() > 1) {
    for (std::size_t i = 0; i + 1 < levels_.files(0).size(); ++i) {
      if (levels_.overlapping(0, levels_.files(0)[i]->range()).size() > 1) return false;
    }
  }
  if (to + 1 >= levels_.count()) return true;
  // A file that overlaps much of the level after next would be expensive to merge later.
  return std::all_of(compaction.inputs.begin(), compaction.inputs.end(), [&](const SstFile* file) {
    const Bytes below = bytes_of(levels_.overlapping(to + 1, file->range()));
    return file->bytes + below <= options_.max_compaction_or_default();
  });
}

}  // namespace kvsim
