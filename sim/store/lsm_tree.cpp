#include "sim/store/lsm_tree.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/check.hpp"

namespace kvsim {

LsmTree::LsmTree(const LsmOptions& options)
    : options_(options), memtables_(options_), levels_(options_), picker_(options_, levels_) {}

bool LsmTree::begin_write() {
  if (!memtables_.switch_due()) return false;
  memtables_.switch_active();
  return true;
}

void LsmTree::put(LsmKey key, Bytes value) {
  KV_CHECK(value >= Bytes(0) && value.count() <= std::numeric_limits<std::uint32_t>::max(),
           "value of {} bytes", value.count());
  write({key, static_cast<std::uint32_t>(value.count()), LsmEntry::kInline}, options_.key + value);
}

void LsmTree::erase(LsmKey key) { write({key, 0, LsmEntry::kTombstone}, options_.key); }

void LsmTree::write(const LsmEntry& entry, Bytes user) {
  begin_write();
  const Bytes wal_before = memtables_.live_wal();
  memtables_.add(entry);
  totals_.user += user;
  totals_.wal += memtables_.live_wal() - wal_before;
}

WriteCondition LsmTree::condition() const {
  return write_condition(options_,
                         {memtables_.immutable(), static_cast<int>(levels_.files(0).size()),
                          levels_.pending_compaction()});
}

bool LsmTree::compacts_in_parallel() const {
  if (condition().state != WriteCondition::State::kNormal) return true;
  const int trigger = options_.level0_file_num_compaction_trigger;
  const int quarter = trigger + (options_.level0_slowdown_writes_trigger - trigger) / 4;
  if (static_cast<int>(levels_.files(0).size()) >= std::min(2 * trigger, quarter)) return true;
  Bytes debt = options_.soft_pending_compaction / 4;
  const Bytes last = levels_.bytes(levels_.deepest());
  if (options_.speedup_by_debt && last > Bytes(0)) {
    debt = std::min(debt, std::max(last / 8, options_.max_bytes_for_level_base * 2));
  }
  return levels_.pending_compaction() >= debt;
}

LsmTree::Lookup LsmTree::find(LsmKey key) const {
  Lookup lookup;
  const auto answer = [&](const LsmEntry& entry, int level, FileId table) {
    if (entry.tombstone()) return;
    using Place = Found::Place;
    const Place place = entry.in_blob_file() ? Place::kBlob : Place::kTable;
    const FileId blob = entry.in_blob_file() ? entry.blob : 0;
    lookup.found = {level < 0 ? Place::kMemtable : place, entry.value(), level, table, blob};
  };
  if (const LsmEntry* entry = memtables_.find(key)) {
    answer(*entry, -1, 0);
    return lookup;
  }
  const auto look_into = [&](int level, const SstFile& file) {
    if (!file.range().covers(key)) return false;
    ++lookup.filters;
    const auto at = std::lower_bound(file.entries.begin(), file.entries.end(), key,
                                     [](const LsmEntry& e, LsmKey k) { return e.key < k; });
    if (at == file.entries.end() || at->key != key) return false;
    answer(*at, level, file.id);
    return true;
  };
  for (const auto& file : levels_.files(0)) {
    if (look_into(0, *file)) return lookup;
  }
  for (int level = 1; level < levels_.count(); ++level) {
    for (const SstFile* file : levels_.overlapping(level, {key, key})) {
      if (look_into(level, *file)) return lookup;
    }
  }
  return lookup;
}

Bytes LsmTree::table_bytes() const {
  Bytes sum(0);
  for (int level = 0; level < levels_.count(); ++level) sum += levels_.bytes(level);
  return sum;
}

Bytes LsmTree::disk_bytes() const {
  return table_bytes() + blob_bytes() + memtables_.live_wal() + memtables_.archived_wal();
}

Bytes LsmTree::live_bytes() const {
  std::vector<LsmKey> keys = memtables_.keys();
  for (int level = 0; level < levels_.count(); ++level) {
    for (const auto& file : levels_.files(level)) {
      for (const LsmEntry& entry : file->entries) keys.push_back(entry.key);
    }
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  Bytes sum(0);
  for (const LsmKey key : keys) {
    if (const auto found = find(key).found) sum += options_.key + found->value;
  }
  return sum;
}

double LsmTree::write_amplification() const {
  return totals_.user > Bytes(0) ? totals_.written().real() / totals_.user.real() : 0;
}

std::vector<FileId> LsmTree::take_deleted_files() { return std::exchange(deleted_, {}); }

}  // namespace kvsim
