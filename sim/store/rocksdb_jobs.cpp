// The engine's background work, and what it starts with.
#include <algorithm>

#include "sim/store/rocksdb_engine.hpp"

namespace kvsim {

namespace {
// How often RocksDB looks for archived logs to delete.
constexpr Seconds kPurgeEvery{600};
// A thread's part of a job is cut into no more pieces: its share of cores and disk does not depend
// on their size, only how reads, work and writes overlap at its ends does.
constexpr std::int64_t kPieces = 8;
// More than what an entry of its own block takes beside key and value.
constexpr Bytes kEntry{512};
}  // namespace

// A memtable was switched, or a job's result installed: RocksDB looks at the condition anew.
void RocksdbEngine::tree_changed() {
  start_jobs();
  controller_.update(tree_.condition(), tree_.pending_compaction());
  // Who waits holds the old one.
  std::exchange(changed_, std::make_shared<Signal>(tasks_))->fire();
}

bool RocksdbEngine::start_jobs() {
  bool moved = false;
  while (const std::optional<LsmJob> job = tree_.take_job()) {
    if (job->trivial_move) {
      tree_.finish(job->id);
      moved = true;
      continue;
    }
    running_ += job->all_written();
    tasks_.start(run_job(*job));
  }
  match_space();
  return moved;
}

// Files, logs, and the outputs of jobs while their inputs are still there.
void RocksdbEngine::match_space() {
  const Bytes needed =
      files_ + running_ + tree_.memtables().live_wal() + tree_.memtables().archived_wal();
  if (needed <= space_) {
    disk_.give_space(space_ - needed);
    space_ = needed;
    full_ = false;
    return;
  }
  full_ = !disk_.take_space(needed - space_);
  if (!full_) space_ = needed;
}

// One thread's part of a job: reads a piece, works on it, writes it while it reads the next.
struct RocksdbEngine::Stream {
  std::int64_t pieces = 1;
  Bytes read{0};  // of a piece, from the disk
  Bytes written{0};
  Bytes copied{0};
  double copies = 0;
  Seconds work{0};   // of a piece
  Bytes encoded{0};  // compressed
  Countdown* left = nullptr;
};

Task RocksdbEngine::run_job(LsmJob job) {
  const bool flush = job.kind == LsmJob::Kind::kFlush;
  Bytes cached{0};
  for (const LsmJob::File& file : job.inputs)
    cached += std::min(file.bytes, page_cache_.resident(file.id));
  const Bytes from_disk = std::max(Bytes(0), job.all_read() - cached);
  const Bytes most = std::max(job.all_read(), job.all_written());
  const std::int64_t streams = std::max(1, job.parallel);

  Stream stream;
  stream.pieces = std::clamp<std::int64_t>(
      groups_of(most.count(), options_.background_io.count() * streams), 1, kPieces);
  const std::int64_t parts = stream.pieces * streams;
  const auto part = [parts](Bytes bytes) { return Bytes(groups_of(bytes.count(), parts)); };
  stream.read = part(from_disk);
  stream.written = part(job.all_written());
  stream.copied = part(most);
  stream.copies = flush ? options_.flush_copies : options_.compaction_copies;
  stream.work = (part(job.all_read()) + stream.written) / options_.checksum;
  if (options_.lsm.compresses(job.to_level)) stream.encoded = part(job.written);
  Countdown left(tasks_, streams);
  stream.left = &left;
  std::vector<Stream> all(static_cast<std::size_t>(streams), stream);
  for (Stream& one : all) tasks_.start(run_stream(one));
  co_await left.wait();
  finish_job(job);
}

Task RocksdbEngine::run_stream(Stream& stream) {
  std::shared_ptr<Signal> writing;
  for (std::int64_t piece = 0; piece < stream.pieces; ++piece) {
    if (stream.read > Bytes(0) && !free_disk_) {
      position_ += static_cast<std::uint64_t>(stream.read.count());
      co_await disk_.io({.bytes = stream.read,
                         .position = position_,
                         .most = Bandwidth(disk_.rate(false).count() * options_.buffered_read)});
    }
    co_await host_.copy(stream.copied, stream.copies);
    co_await host_.compute(stream.work);
    co_await code("encode/", stream.encoded, options_.compress);
    if (writing) co_await writing->wait();
    writing = std::make_shared<Signal>(tasks_);
    tasks_.start(write_piece(stream.written, writing));
  }
  co_await writing->wait();
  stream.left->one_less();
}

Task RocksdbEngine::write_piece(Bytes bytes, std::shared_ptr<Signal> done) {
  if (limiter_) co_await limiter_->use(bytes.real());
  if (!free_disk_ && bytes > Bytes(0)) {
    position_ += static_cast<std::uint64_t>(bytes.count());
    co_await disk_.io({.write = true, .bytes = bytes, .position = position_});
  }
  done->fire();
}

void RocksdbEngine::finish_job(const LsmJob& job) {
  tree_.finish(job.id);
  running_ -= job.all_written();
  for (const LsmJob::File& file : job.outputs) page_cache_.written(file.id, file.bytes);
  for (const LsmJob::File& file : job.blobs) page_cache_.written(file.id, file.bytes);
  for (const FileId file : tree_.take_deleted_files()) page_cache_.drop(file);
  files_ = tree_.table_bytes() + tree_.blob_bytes();
  if (tasks_.now() - purged_ >= kPurgeEvery) {
    tree_.purge_archived_wal(tasks_.now());
    purged_ = tasks_.now();
  }
  tree_changed();
}

bool RocksdbEngine::preload(StoreKey key, Bytes value) {
  const Bytes bytes = value + options_.lsm.key + kEntry;
  if (options_.max_db > Bytes(0) && files_ + bytes > options_.max_db) return false;
  if (!disk_.take_space(bytes)) return false;
  space_ += bytes;
  files_ += bytes;
  if (!preloaded_.emplace(key, value).second) return true;
  preloads_.push_back({key, value});
  live_ += value;
  ++entries_;
  return true;
}

// Keys that nobody asks for come first: they are the oldest.
void RocksdbEngine::settle() {
  if (settled_) return;
  settled_ = true;
  std::vector<LsmTree::Preload> all;
  const std::int64_t others =
      options_.start.filled.count() / std::max<std::int64_t>(1, options_.start.value.count());
  for (std::int64_t i = 0; i < others; ++i)
    all.push_back({mix64(hash_name(name_) + static_cast<std::uint64_t>(i)), options_.start.value});
  live_ += options_.start.value * others;
  entries_ += others;
  all.insert(all.end(), preloads_.begin(), preloads_.end());
  tree_.preload(all);
  page_cache_.set_capacity(options_.page_cache.value_or(host_.dram().left()));
  if (options_.dirty_limit) {
    log_pages_.set_limit(*options_.dirty_limit);
  } else if (page_cache_.capacity() > Bytes(0)) {
    log_pages_.set_limit(page_cache_.capacity() / 5);
  }
  files_ = tree_.table_bytes() + tree_.blob_bytes();
  match_space();
  preloads_ = std::move(all);
  settle_caches();
  preloads_.clear();
  preloaded_.clear();
}

void RocksdbEngine::settle_caches() {
  for (const LsmTree::Preload& entry : preloads_) {
    if (options_.eviction != "none") order_.insert({entry.key, 0, entry.value});
    if (options_.start.caches == "cold") continue;
    const auto found = tree_.find(entry.key).found;
    if (!found) continue;
    const bool blob = found->place == LsmTree::Found::Place::kBlob;
    page_cache_.read(blob ? found->blob : found->table, entry.key, entry.value);
    cache(*found, entry.key);
  }
}

}  // namespace kvsim
