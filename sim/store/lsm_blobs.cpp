// Blob files of LsmTree: big values leave the levels at the flush, and compactions move the live
// ones out of the oldest files.
//
// Source: db/blob/blob_file_builder.cc, compaction_iterator.cc (GarbageCollectBlobIfNeeded),
// version_builder.cc and version_set.cc (ComputeFilesMarkedForForcedBlobGC) of RocksDB.
// Leaves out: blob caches, compression of blobs.
#include <algorithm>
#include <iterator>
#include <limits>

#include "sim/base/check.hpp"
#include "sim/store/lsm_tree.hpp"

namespace kvsim {

namespace {

bool refers_to(const SstFile& file, FileId blob) {
  return std::any_of(file.entries.begin(), file.entries.end(), [&](const LsmEntry& entry) {
    return entry.in_blob_file() && entry.blob == blob;
  });
}

}  // namespace

void LsmTree::append_blob(LsmEntry& entry, Running& running) {
  const bool full =
      !running.blobs.empty() && running.blobs.rbegin()->second.bytes >= options_.blob_file;
  if (running.blobs.empty() || full) {
    KV_CHECK(last_file_ + 1 < LsmEntry::kTombstone, "too many files");
    running.blobs[++last_file_].bytes = LsmFormat::kBlobFile;
  }
  auto& [id, file] = *running.blobs.rbegin();
  file.bytes += LsmFormat::blob_record(options_, entry.value());
  ++file.blobs;
  entry.blob = static_cast<std::uint32_t>(id);
}

void LsmTree::move_to_blobs(LsmRun& run, Running& running) {
  if (!options_.enable_blob_files) return;
  for (LsmEntry& entry : run) {
    if (!entry.tombstone() && entry.value() >= options_.min_blob) append_blob(entry, running);
  }
}

FileId LsmTree::first_young_blob() const {
  const double share = options_.blob_garbage_collection_age_cutoff;
  const auto old = static_cast<std::size_t>(share * static_cast<double>(blob_files_.size()));
  if (old >= blob_files_.size()) return std::numeric_limits<FileId>::max();
  return std::next(blob_files_.begin(), static_cast<std::ptrdiff_t>(old))->first;
}

void LsmTree::collect_garbage(LsmRun& run, Running& running) {
  const bool collects = options_.enable_blob_files && options_.enable_blob_garbage_collection;
  if (!collects || blob_files_.empty()) return;
  const FileId young = first_young_blob();
  for (LsmEntry& entry : run) {
    if (!entry.in_blob_file() || entry.blob >= young) continue;
    running.job.blob_read += LsmFormat::blob_record(options_, entry.value());
    append_blob(entry, running);
  }
}

// A compaction of the files that refer to the oldest blob file, into their own level: once the
// oldest blob files, up to the next that is the oldest of some table file, are garbage enough.
std::optional<LsmCompaction> LsmTree::forced_collection() const {
  const double threshold = options_.blob_garbage_collection_force_threshold;
  const bool collects = options_.enable_blob_files && options_.enable_blob_garbage_collection;
  if (!collects || threshold >= 1 || blob_files_.empty()) return std::nullopt;
  const auto& [oldest, file] = *blob_files_.begin();
  if (oldest >= first_young_blob()) return std::nullopt;
  const double garbage = 1 - static_cast<double>(file.live) / static_cast<double>(file.blobs);
  if (garbage < threshold) return std::nullopt;
  for (int level = 1; level < levels_.count(); ++level) {
    for (const auto& table : levels_.files(level)) {
      if (table->compacting || !refers_to(*table, oldest)) continue;
      LsmCompaction compaction{level, level, {table.get()}};
      compaction.range = table->range();
      return compaction;
    }
  }
  return std::nullopt;
}

void LsmTree::adopt_blobs(Running& running) {
  for (auto& [id, file] : running.blobs) blob_files_.emplace(id, file);
  for (const auto& file : running.outputs) refer(*file, +1);
}

void LsmTree::refer(const SstFile& file, int change) {
  for (const LsmEntry& entry : file.entries) {
    if (!entry.in_blob_file()) continue;
    BlobFile& blob = blob_files_.at(entry.blob);
    blob.live += change;
    if (blob.live == 0) doubtful_.push_back(entry.blob);
  }
}

void LsmTree::drop_dead_blobs() {
  for (const FileId id : doubtful_) {
    const auto found = blob_files_.find(id);
    if (found == blob_files_.end() || found->second.live > 0) continue;
    blob_files_.erase(found);
    deleted_.push_back(id);
  }
  doubtful_.clear();
}

}  // namespace kvsim
