#include "sim/store/lsm_levels.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

constexpr double kScoreScale = 10;  // of dynamic level targets
constexpr Bytes kNoTarget{std::numeric_limits<std::int64_t>::max() / 4};

Bytes scaled(Bytes bytes, double factor) {
  const double product = bytes.real() * factor;
  return product > kNoTarget.real() ? kNoTarget : Bytes(static_cast<std::int64_t>(product));
}

std::int64_t values_of(const SstFile& file) {
  return static_cast<std::int64_t>(file.entries.size()) - file.tombstones;
}

Bytes value_bytes_of(const SstFile& file) {
  Bytes sum(0);
  for (const LsmEntry& entry : file.entries) {
    if (!entry.in_blob_file()) sum += entry.value();
  }
  return sum;
}

}  // namespace

KeyRange range_of(const std::vector<SstFile*>& files) {
  KeyRange range = files.front()->range();
  for (const SstFile* file : files) range.include(file->range());
  return range;
}

Bytes bytes_of(const std::vector<SstFile*>& files) {
  Bytes sum(0);
  for (const SstFile* file : files) sum += file->bytes;
  return sum;
}

LsmLevels::LsmLevels(const LsmOptions& options)
    : options_(options), levels_(static_cast<std::size_t>(options.num_levels)) {
  refresh();
}

Bytes LsmLevels::target_file(int level) const {
  // With dynamic targets the multiplier counts from the base level.
  const int from = options_.level_compaction_dynamic_level_bytes ? base_level_ : 1;
  Bytes size = options_.target_file_size_base;
  for (int i = from; i < level; ++i) size = size * options_.target_file_size_multiplier;
  return size;
}

int LsmLevels::deepest() const {
  int level = count() - 1;
  while (level > 0 && files(level).empty()) --level;
  return level;
}

double LsmLevels::level0_score() const {
  std::int64_t idle_files = 0;
  for (const auto& file : files(0)) idle_files += file->compacting ? 0 : 1;
  const double idle = at(0).idle.real();
  double score = static_cast<double>(idle_files) /
                 static_cast<double>(options_.level0_file_num_compaction_trigger);
  const double base = options_.max_bytes_for_level_base.real();
  if (!options_.level_compaction_dynamic_level_bytes) return std::max(score, idle / base);
  if (idle >= base) score = std::max(score, 1.01);
  const double goal = target(base_level_).real();
  if (idle > goal) score = std::max(score, idle / std::max(bytes(base_level_).real(), goal));
  return score > 1 ? score * kScoreScale : score;
}

std::vector<LsmLevels::Score> LsmLevels::scores() const {
  std::vector<Score> scores{{0, level0_score()}};
  double down = bytes(0).real();  // on its way down from the levels above
  for (int level = 1; level < count() - 1; ++level) {
    const double idle = at(level).idle.real();
    const double goal = target(level).real();
    double score = idle / goal;
    if (options_.level_compaction_dynamic_level_bytes && idle >= goal) {
      score = idle / (goal + down) * kScoreScale;
    }
    down += std::max(0.0, bytes(level).real() - goal);
    scores.push_back({level, score});
  }
  std::stable_sort(scores.begin(), scores.end(),
                   [](const Score& a, const Score& b) { return a.score > b.score; });
  return scores;
}

std::pair<std::size_t, std::size_t> LsmLevels::span_of(int level, KeyRange range) const {
  const SstFiles& all = files(level);
  const auto first = std::partition_point(
      all.begin(), all.end(), [&](const auto& file) { return file->range().last < range.first; });
  const auto last = std::partition_point(
      first, all.end(), [&](const auto& file) { return file->range().first <= range.last; });
  return {static_cast<std::size_t>(first - all.begin()),
          static_cast<std::size_t>(last - all.begin())};
}

std::vector<SstFile*> LsmLevels::overlapping_level0(KeyRange range) const {
  std::vector<bool> taken(files(0).size(), false);
  for (bool grew = true; grew;) {
    grew = false;
    for (std::size_t i = 0; i < taken.size(); ++i) {
      if (taken[i] || !files(0)[i]->range().overlaps(range)) continue;
      taken[i] = grew = true;
      range.include(files(0)[i]->range());
    }
  }
  std::vector<SstFile*> found;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i]) found.push_back(files(0)[i].get());
  }
  return found;
}

std::vector<SstFile*> LsmLevels::overlapping(int level, KeyRange range) const {
  if (level == 0) return overlapping_level0(range);
  std::vector<SstFile*> found;
  const auto [first, last] = span_of(level, range);
  for (std::size_t i = first; i < last; ++i) found.push_back(files(level)[i].get());
  return found;
}

std::vector<SstFile*> LsmLevels::inside(int level, KeyRange range) const {
  std::vector<SstFile*> found = overlapping(level, range);
  std::erase_if(found, [&](const SstFile* file) {
    return !range.covers(file->range().first) || !range.covers(file->range().last);
  });
  return found;
}

bool LsmLevels::may_exist_below(int level, LsmKey key) const {
  for (int below = level + 1; below < count(); ++below) {
    const auto [first, last] = span_of(below, {key, key});
    if (first != last) return true;
  }
  return false;
}

SstFile* LsmLevels::next_to(int level, const SstFile& file) const {
  const std::size_t next = span_of(level, file.range()).second;
  return next < files(level).size() ? files(level)[next].get() : nullptr;
}

std::int64_t LsmLevels::overlap_ratio(int level, const SstFile& file) const {
  if (level + 1 == count()) return 0;
  Bytes below(0);
  const auto [first, last] = span_of(level + 1, file.range());
  for (std::size_t i = first; i < last; ++i) below += files(level + 1)[i]->bytes;
  const double size = std::max(1.0, file.compensated_bytes.real());
  return static_cast<std::int64_t>(below.real() * 1024 / size);
}

void LsmLevels::reorder(int level, KeyRange range) {
  Level& here = at(level);
  const auto span = level == 0 ? std::pair<std::size_t, std::size_t>{0, here.files.size()}
                               : span_of(level, range);
  for (std::size_t i = span.first; i < span.second; ++i) {
    SstFile* file = here.files[i].get();
    here.order.erase(place_of(*file));
    file->overlap_ratio = overlap_ratio(level, *file);
    here.order[place_of(*file)] = file;
  }
}

void LsmLevels::add(int level, SstFiles added, std::size_t place) {
  if (added.empty()) return;
  Level& here = at(level);
  KeyRange range = added.front()->range();
  for (const auto& file : added) {
    range.include(file->range());
    here.bytes += file->bytes;
    if (!file->compacting) here.idle += file->compensated_bytes;
    values_ += values_of(*file);
    value_bytes_ += value_bytes_of(*file);
  }
  // Files that come into a level together lie next to each other.
  if (level > 0) place = span_of(level, added.front()->range()).first;
  here.files.insert(here.files.begin() + static_cast<std::ptrdiff_t>(place),
                    std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()));
  reorder(level, range);
  if (level > 0) reorder(level - 1, range);
}

SstFiles LsmLevels::remove(int level, const std::vector<SstFile*>& files) {
  SstFiles removed;
  if (files.empty()) return removed;
  SstFiles& all = at(level).files;
  const KeyRange range = range_of(files);
  const auto span =
      level == 0 ? std::pair<std::size_t, std::size_t>{0, all.size()} : span_of(level, range);
  auto kept = all.begin() + static_cast<std::ptrdiff_t>(span.first);
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(span.second);
  for (auto file = kept; file != end; ++file) {
    const bool gone = removed.size() < files.size() && file->get() == files[removed.size()];
    if (gone) {
      forget(level, **file);
      removed.push_back(std::move(*file));
    } else {
      if (kept != file) *kept = std::move(*file);
      ++kept;
    }
  }
  all.erase(kept, end);
  KV_CHECK(removed.size() == files.size(), "level {}: files out of order", level);
  if (level > 0) reorder(level - 1, range);
  return removed;
}

void LsmLevels::forget(int level, const SstFile& file) {
  Level& here = at(level);
  here.bytes -= file.bytes;
  if (!file.compacting) here.idle -= file.compensated_bytes;
  here.order.erase(place_of(file));
  values_ -= values_of(file);
  value_bytes_ -= value_bytes_of(file);
}

void LsmLevels::set_compacting(int level, SstFile& file, bool compacting) {
  if (file.compacting == compacting) return;
  file.compacting = compacting;
  at(level).idle += compacting ? -file.compensated_bytes : file.compensated_bytes;
}

Bytes LsmLevels::compensated(const SstFile& file) const {
  // kDeletionWeightOnCompaction = 2: a tombstone counts as two values, once they are the majority.
  const auto entries = static_cast<std::int64_t>(file.entries.size());
  const std::int64_t surplus = file.tombstones * 2 - entries;
  if (file.tombstones == 0 || surplus < 0 || values_ == 0) return file.bytes;
  return file.bytes + value_bytes_ / values_ * surplus * 2;
}

void LsmLevels::refresh() {
  if (options_.level_compaction_dynamic_level_bytes) {
    set_dynamic_targets();
  } else {
    set_static_targets();
  }
  pending_ = estimate_pending();
}

void LsmLevels::set_static_targets() {
  base_level_ = 1;
  Bytes goal = options_.max_bytes_for_level_base;
  for (int level = 0; level < count(); ++level) {
    if (level > 1) goal = scaled(goal, options_.max_bytes_for_level_multiplier);
    at(level).target = goal;
  }
}

void LsmLevels::set_dynamic_targets() {
  const double multiplier = options_.max_bytes_for_level_multiplier;
  int first = count() - 1;
  Bytes largest(0);
  for (int level = count() - 1; level > 0; --level) {
    if (!files(level).empty()) first = level;
    largest = std::max(largest, bytes(level));
  }
  for (Level& level : levels_) level.target = kNoTarget;
  base_level_ = count() - 1;
  if (largest == Bytes(0)) return;

  const Bytes base_max = options_.max_bytes_for_level_base;
  const Bytes base_min = scaled(base_max, 1 / multiplier);
  base_level_ = first;
  Bytes size = largest;
  for (int level = count() - 2; level >= first; --level) size = scaled(size, 1 / multiplier);
  if (size <= base_min) {
    size = base_min + Bytes(1);
  } else {
    for (; base_level_ > 1 && size > base_max; --base_level_) size = scaled(size, 1 / multiplier);
    size = std::min(size, base_max);
  }
  for (int level = base_level_; level < count(); ++level) {
    // Not below base_max: levels smaller than level 0 would be favoured over it.
    at(level).target = std::max(size, base_max);
    size = scaled(size, multiplier);
  }
}

Bytes LsmLevels::estimate_pending() const {
  Bytes estimate(0);
  Bytes down(0);
  const bool level0 =
      static_cast<int>(files(0).size()) >= options_.level0_file_num_compaction_trigger ||
      bytes(0) >= options_.max_bytes_for_level_base;
  if (level0) estimate = down = bytes(0);
  for (int level = base_level_; level < count() - 1; ++level) {
    Bytes size = bytes(level);
    if (level == base_level_ && level0) estimate += size;
    size += down;
    down = Bytes(0);
    if (size <= target(level)) continue;
    down = size - target(level);
    const Bytes below = bytes(level + 1);
    if (below > Bytes(0)) {
      estimate += Bytes(static_cast<std::int64_t>(down.real() * (below.real() / size.real() + 1)));
    }
  }
  return estimate;
}

}  // namespace kvsim
