// Background jobs of LsmTree: which may start, what they write, and what is true once they are
// done.
#include <algorithm>
#include <utility>

#include "sim/base/check.hpp"
#include "sim/store/lsm_tree.hpp"

namespace kvsim {

int LsmTree::running_of(LsmJob::Kind kind) const {
  return static_cast<int>(std::count_if(running_.begin(), running_.end(), [&](const auto& entry) {
    return entry.second.job.kind == kind && !entry.second.finished;
  }));
}

std::optional<LsmJob> LsmTree::take_job() {
  if (auto flush = take_flush()) return flush;
  return take_compaction();
}

std::optional<LsmJob> LsmTree::take_flush() {
  if (!memtables_.flush_due()) return std::nullopt;
  if (running_of(LsmJob::Kind::kFlush) >= options_.flush_limit()) return std::nullopt;
  Running running;
  running.job.id = ++last_job_;
  LsmRun run = memtables_.start_flush(running.job.id);
  move_to_blobs(run, running);
  add_outputs(running, cut_files(options_, {}, run));
  return start(std::move(running));
}

std::optional<LsmJob> LsmTree::take_compaction() {
  if (nothing_to_compact_) return std::nullopt;
  const int limit = compacts_in_parallel() ? options_.compaction_limit() : 1;
  if (running_of(LsmJob::Kind::kCompaction) >= limit) return std::nullopt;
  auto picked = picker_.pick();
  if (!picked) picked = forced_collection();
  nothing_to_compact_ = !picked;
  if (!picked) return std::nullopt;

  picker_.running.push_back(std::move(*picked));
  Running running;
  running.compaction = &picker_.running.back();
  const LsmCompaction& compaction = *running.compaction;
  LsmJob& job = running.job;
  job.id = ++last_job_;
  job.kind = LsmJob::Kind::kCompaction;
  job.from_level = compaction.from_level;
  job.to_level = compaction.to_level;
  job.trivial_move = compaction.trivial_move;
  for (const SstFile* file : compaction.inputs) job.inputs.push_back({file->id, file->bytes});
  for (const SstFile* file : compaction.parents) job.inputs.push_back({file->id, file->bytes});
  if (!job.trivial_move) plan_outputs(running);
  for (SstFile* file : compaction.inputs) levels_.set_compacting(job.from_level, *file, true);
  for (SstFile* file : compaction.parents) levels_.set_compacting(job.to_level, *file, true);
  return start(std::move(running));
}

void LsmTree::plan_outputs(Running& running) {
  const LsmCompaction& compaction = *running.compaction;
  LsmJob& job = running.job;
  job.read = bytes_of(compaction.inputs) + bytes_of(compaction.parents);
  LsmRun run = merged_inputs(running);
  if (job.to_level > 0) drop_tombstones(run, job.to_level);
  collect_garbage(run, running);

  CutRules rules{job.to_level, levels_.target_file(job.to_level)};
  for (int level = job.to_level + 1; level < levels_.count() && rules.grandparents.empty();
       ++level) {
    if (job.to_level > 0) rules.grandparents = levels_.overlapping(level, compaction.range);
  }
  if (job.from_level == 0 && job.to_level > 0) {
    const std::int64_t files = std::max<std::int64_t>(1, job.read / rules.target_file);
    job.parallel = static_cast<int>(std::min<std::int64_t>(options_.max_subcompactions, files));
  }
  rules.parallel = job.parallel;
  add_outputs(running, cut_files(options_, rules, run));
}

LsmRun LsmTree::merged_inputs(Running& running) {
  const LsmCompaction& compaction = *running.compaction;
  std::vector<LsmRun> runs;
  const auto append = [&](const std::vector<SstFile*>& files) {
    for (const SstFile* file : files) {
      runs.back().insert(runs.back().end(), file->entries.begin(), file->entries.end());
    }
  };
  if (compaction.from_level == 0) {
    for (const SstFile* file : compaction.inputs) runs.push_back(file->entries);
  } else {
    runs.emplace_back();
    append(compaction.inputs);
  }
  runs.emplace_back();
  append(compaction.parents);
  return merge_runs(std::move(runs), running.released);
}

void LsmTree::drop_tombstones(LsmRun& run, int level) const {
  std::erase_if(run, [&](const LsmEntry& entry) {
    return entry.tombstone() && !levels_.may_exist_below(level, entry.key);
  });
}

void LsmTree::add_outputs(Running& running, SstFiles files) {
  for (auto& file : files) {
    file->id = ++last_file_;
    file->compensated_bytes = levels_.compensated(*file);
    running.job.written += file->bytes;
    running.job.outputs.push_back({file->id, file->bytes});
  }
  running.outputs = std::move(files);
}

LsmJob LsmTree::start(Running running) {
  for (const auto& [id, blob] : running.blobs) {
    running.job.blob_written += blob.bytes;
    running.job.blobs.push_back({id, blob.bytes});
  }
  const LsmJob job = running.job;
  running_.emplace(job.id, std::move(running));
  return job;
}

void LsmTree::finish(std::uint64_t job) {
  const auto found = running_.find(job);
  KV_CHECK(found != running_.end() && !found->second.finished, "job {} does not run", job);
  Running& running = found->second;
  count(running.job);
  if (running.compaction != nullptr) {
    install_compaction(running);
    running_.erase(found);
  } else {
    running.finished = true;
    memtables_.flushed(job);
    install_flushes();
  }
  nothing_to_compact_ = false;
  levels_.refresh();
}

void LsmTree::install_flushes() {
  for (std::uint64_t job = memtables_.installable(); job != 0; job = memtables_.installable()) {
    const auto found = running_.find(job);
    KV_CHECK(found != running_.end(), "flush {}", job);
    memtables_.install(job);
    adopt_blobs(found->second);
    levels_.add(0, std::move(found->second.outputs));
    running_.erase(found);
  }
}

void LsmTree::install_compaction(Running& running) {
  const LsmCompaction compaction = *running.compaction;
  const int from = compaction.from_level;
  const int to = compaction.to_level;
  std::size_t place = 0;  // in level 0: where the newest input was
  while (to == 0 && levels_.files(0)[place].get() != compaction.inputs.front()) ++place;
  adopt_blobs(running);
  for (SstFile* file : compaction.inputs) levels_.set_compacting(from, *file, false);
  for (SstFile* file : compaction.parents) levels_.set_compacting(to, *file, false);
  SstFiles inputs = levels_.remove(from, compaction.inputs);
  if (compaction.trivial_move) {
    levels_.add(to, std::move(inputs));
  } else {
    for (auto& file : levels_.remove(to, compaction.parents)) inputs.push_back(std::move(file));
    for (const auto& file : inputs) deleted_.push_back(file->id);
    levels_.add(to, std::move(running.outputs), place);
  }
  picker_.running.remove_if([&](const LsmCompaction& c) { return &c == running.compaction; });
}

void LsmTree::count(const LsmJob& job) {
  if (job.kind == LsmJob::Kind::kFlush) {
    totals_.flushed += job.written;
    totals_.blob_flushed += job.blob_written;
    ++totals_.flushes;
    return;
  }
  totals_.compaction_read += job.read;
  totals_.compaction_written += job.written;
  totals_.blob_collected_read += job.blob_read;
  totals_.blob_collected_written += job.blob_written;
  ++(job.trivial_move ? totals_.trivial_moves : totals_.compactions);
}

}  // namespace kvsim
