// Blob files of LsmTree: big values leave the levels at the flush, and compactions move the live
// ones out of the oldest files.
//
// Source: db/blob/blob_file_builder.cc, compaction_iterator.cc (GarbageCollectBlobIfNeeded),
// version_builder.cc and version_set.cc (ComputeFilesMarkedForForcedBlobGC) of RocksDB.
// Leaves out: blob caches, compression of blobs.
#include <iterator>
#include <limits>
#include <set>

#include "sim/base/check.hpp"
#include "sim/store/lsm_tree.hpp"

namespace kvsim {

void LsmTree::append_blob(LsmEntry& entry, Running& running) {
  const bool full =
      !running.blobs.empty() && running.blobs.rbegin()->second.bytes >= options_.blob_file;
  if (running.blobs.empty() || full) {
    KV_CHECK(last_file_ + 1 < LsmEntry::kTombstone, "too many files");
    running.blobs[++last_file_].bytes = LsmFormat::kBlobFile;
  }
  auto& [id, file] = *running.blobs.rbegin();
  file.bytes += LsmFormat::blob_record(options_, entry.value());
  ++file.live;
  entry.blob = static_cast<std::uint32_t>(id);
}

void LsmTree::move_to_blobs(LsmRun& run, Running& running) {
  if (!options_.enable_blob_files) return;
  for (LsmEntry& entry : run) {
    if (!entry.tombstone() && entry.value() >= options_.min_blob) append_blob(entry, running);
  }
}

std::size_t LsmTree::old_blob_files() const {
  const double share = options_.blob_garbage_collection_age_cutoff;
  return static_cast<std::size_t>(share * static_cast<double>(blob_files_.size()));
}

void LsmTree::collect_garbage(LsmRun& run, Running& running) {
  if (!options_.enable_blob_garbage_collection || blob_files_.empty()) return;
  const std::size_t old = old_blob_files();
  const FileId young = old < blob_files_.size()
                           ? std::next(blob_files_.begin(), static_cast<std::ptrdiff_t>(old))->first
                           : std::numeric_limits<FileId>::max();
  for (LsmEntry& entry : run) {
    if (!entry.in_blob_file() || entry.blob >= young) continue;
    running.released.push_back(entry);
    running.job.blob_read += LsmFormat::blob_record(options_, entry.value());
    append_blob(entry, running);
  }
}

// The oldest batch: the oldest blob file and those after it that are no table file's oldest, so
// that compacting the table files whose oldest is the first frees all of them.
bool LsmTree::oldest_batch_is_garbage() const {
  std::set<FileId> oldest;
  for (int level = 0; level < levels_.count(); ++level) {
    for (const auto& table : levels_.files(level)) oldest.insert(table->oldest_blob);
  }
  const std::size_t old = old_blob_files();
  Bytes total(0);
  Bytes garbage(0);
  std::size_t count = 0;
  auto file = blob_files_.begin();
  for (; file != blob_files_.end(); ++file, ++count) {
    const bool next_batch = count > 0 && oldest.count(file->first) > 0;
    if (next_batch) break;
    if (count >= old) return false;  // a part of the batch is too young
    total += file->second.bytes;
    garbage += file->second.garbage;
  }
  return garbage.real() >= options_.blob_garbage_collection_force_threshold * total.real();
}

std::optional<LsmCompaction> LsmTree::forced_collection() const {
  const bool forces = options_.enable_blob_garbage_collection &&
                      options_.blob_garbage_collection_force_threshold < 1;
  if (!forces || blob_files_.empty() || !oldest_batch_is_garbage()) return std::nullopt;
  for (int level = 0; level < levels_.count(); ++level) {
    if (level == 0 && picker_.level0_busy()) continue;
    for (const auto& table : levels_.files(level)) {
      if (table->compacting || table->oldest_blob != blob_files_.begin()->first) continue;
      LsmCompaction compaction{level, level, {table.get()}};
      compaction.range = table->range();
      return compaction;
    }
  }
  return std::nullopt;
}

void LsmTree::adopt_blobs(Running& running) {
  for (auto& [id, file] : running.blobs) {
    blob_bytes_ += file.bytes;
    blob_files_.emplace(id, file);
  }
  for (const LsmEntry& entry : running.released) {
    if (!entry.in_blob_file()) continue;
    const auto found = blob_files_.find(entry.blob);
    KV_CHECK(found != blob_files_.end(), "blob file {}", entry.blob);
    found->second.garbage += LsmFormat::blob_record(options_, entry.value());
    if (--found->second.live > 0) continue;
    blob_bytes_ -= found->second.bytes;
    blob_files_.erase(found);
    deleted_.push_back(entry.blob);
  }
}

}  // namespace kvsim
