#include "sim/probe/bench_rocksdb_database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw EnvironmentError("RocksDB: " + status.ToString());
}

std::size_t size_of(Bytes bytes) { return static_cast<std::size_t>(bytes.count()); }

rocksdb::CompressionType type_of(const std::string& compression) {
  if (compression == "lz4") return rocksdb::kLZ4Compression;
  return compression == "zstd" ? rocksdb::kZSTD : rocksdb::kNoCompression;
}

// Kvrocks partitions indexes and filters and has them in the block cache; here they lie beside it,
// so that there may be none for values.
void set_table(rocksdb::Options& to, const RocksdbBenchOptions& from, Bytes block_cache) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.block_size = size_of(from.block);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(from.bloom_bits_per_key));
  table.no_block_cache = block_cache == Bytes(0);
  // One shard: the values shall fit whatever their number.
  if (!table.no_block_cache) table.block_cache = rocksdb::NewLRUCache(size_of(block_cache), 0);
  to.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
}

}  // namespace

RocksdbDatabase::RocksdbDatabase(std::string folder, const RocksdbBenchOptions& options,
                                 const Shape& shape)
    : folder_(std::move(folder)), options_(options) {
  std::error_code ignored;  // opening will say
  fs::remove_all(folder_, ignored);
  settings_.create_if_missing = true;
  settings_.avoid_flush_during_shutdown = true;
  settings_.write_buffer_size = size_of(shape.write_buffer);
  settings_.max_write_buffer_number = 4;
  settings_.memtable_prefix_bloom_size_ratio = 0.1;
  settings_.memtable_whole_key_filtering = true;
  // Nothing runs behind a measurement's back.
  settings_.disable_auto_compactions = true;
  settings_.level0_slowdown_writes_trigger = 1 << 20;
  settings_.level0_stop_writes_trigger = 1 << 20;
  settings_.soft_pending_compaction_bytes_limit = 0;
  settings_.hard_pending_compaction_bytes_limit = 0;
  settings_.stats_dump_period_sec = 0;
  settings_.stats_persist_period_sec = 0;
  settings_.compression = type_of(options.compression);
  settings_.enable_pipelined_write = options.enable_pipelined_write;
  settings_.enable_blob_files = options.enable_blob_files;
  settings_.min_blob_size = 4096;
  settings_.blob_compression_type = settings_.compression;
  settings_.use_direct_reads = options.direct_reads;
  set_table(settings_, options, shape.block_cache);
  rocksdb::DB* db = nullptr;
  check(rocksdb::DB::Open(settings_, folder_, &db));
  db_.reset(db);
}

RocksdbDatabase::~RocksdbDatabase() {
  db_.reset();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

// As long as LMCache's keys are: model, ranks, hash of the chunk.
std::string RocksdbDatabase::text_of(std::int64_t key) {
  return fmt::format("{:016x}{:-<104}", static_cast<std::uint64_t>(key), "");
}

void RocksdbDatabase::put(std::int64_t key, std::string_view value, bool log) {
  rocksdb::WriteOptions write;
  write.disableWAL = !(log && options_.wal);
  rocksdb::WriteBatch batch;
  check(batch.Put(text_of(key), rocksdb::Slice(value.data(), value.size())));
  check(db_->Write(write, &batch));
}

bool RocksdbDatabase::get(std::int64_t key, std::string& value, bool fill_cache) {
  rocksdb::ReadOptions read;
  read.fill_cache = fill_cache;
  const rocksdb::Status status = db_->Get(read, text_of(key), &value);
  if (status.IsNotFound()) return false;
  check(status);
  return true;
}

void RocksdbDatabase::multiget(const Keys& which, std::vector<std::string>& values) {
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < which.count; ++i)
    texts.push_back(text_of(which.first + i * which.step));
  const std::vector<rocksdb::Slice> keys(texts.begin(), texts.end());
  rocksdb::ReadOptions read;
  read.fill_cache = false;
  for (const rocksdb::Status& status : db_->MultiGet(read, keys, &values)) check(status);
}

void RocksdbDatabase::flush() {
  check(db_->Flush(rocksdb::FlushOptions()));
  list_files();
}

void RocksdbDatabase::settle_in_levels() {
  rocksdb::CompactRangeOptions how;
  how.change_level = true;
  how.target_level = 2;
  how.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  check(db_->CompactRange(how, nullptr, nullptr));
  list_files();
}

void RocksdbDatabase::list_files() {
  files_.clear();
  const std::string wanted = options_.enable_blob_files ? ".blob" : ".sst";
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.path().extension() == wanted) files_.push_back(entry.path());
  std::sort(files_.begin(), files_.end());
}

void RocksdbDatabase::drop_pages(std::size_t index) {
  const int file = open(files_.at(index).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw EnvironmentError("cannot open " + files_.at(index));
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

double RocksdbDatabase::ratio(Bytes values) const {
  double bytes = 0;
  for (const std::string& file : files_) bytes += static_cast<double>(fs::file_size(file));
  return bytes > 0 ? values.real() / bytes : 1;
}

}  // namespace kvsim
