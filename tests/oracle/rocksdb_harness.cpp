#include "tests/oracle/rocksdb_harness.hpp"

#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace kvsim {

class WorkListener : public rocksdb::EventListener {
 public:
  void OnTableFileCreated(const rocksdb::TableFileCreationInfo& info) override {
    const std::lock_guard lock(mutex_);
    const bool flush = info.reason == rocksdb::TableFileCreationReason::kFlush;
    const auto size = static_cast<double>(info.file_size);
    (flush ? report_.flushed : report_.compaction_written) += size;
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    const std::lock_guard lock(mutex_);
    ++report_.flushes;
    for (const auto& blob : info.blob_file_addition_infos) {
      report_.blob_flushed += static_cast<double>(blob.total_blob_bytes);
    }
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& info) override {
    const std::lock_guard lock(mutex_);
    const auto output = static_cast<double>(info.stats.total_output_bytes);
    if (output > 0) {  // not a move
      ++report_.compactions;
      report_.compaction_read += static_cast<double>(info.stats.total_input_bytes);
    }
    for (const auto& blob : info.blob_file_addition_infos) {
      report_.blob_collected += static_cast<double>(blob.total_blob_bytes);
    }
  }
  [[nodiscard]] LsmReport report() const {
    const std::lock_guard lock(mutex_);
    return report_;
  }

 private:
  mutable std::mutex mutex_;
  LsmReport report_;
};

namespace {

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::size_t size_of(Bytes bytes) { return static_cast<std::size_t>(bytes.count()); }

// In memory where there is such a folder: no disk's speed shall matter.
std::filesystem::path new_folder() {
  const std::filesystem::path memory = "/dev/shm";
  const auto parent =
      access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  std::string name = (parent / "kvsim-rocksdb-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for RocksDB: " + name);
  return name;
}

void set_levels(rocksdb::Options& to, const LsmOptions& from) {
  to.num_levels = from.num_levels;
  to.target_file_size_base = size_of(from.target_file_size_base);
  to.target_file_size_multiplier = from.target_file_size_multiplier;
  to.max_bytes_for_level_base = size_of(from.max_bytes_for_level_base);
  to.max_bytes_for_level_multiplier = from.max_bytes_for_level_multiplier;
  to.level_compaction_dynamic_level_bytes = from.level_compaction_dynamic_level_bytes;
  to.level_compaction_dynamic_file_size = from.level_compaction_dynamic_file_size;
  to.max_compaction_bytes = size_of(from.max_compaction_or_default());
  to.level0_file_num_compaction_trigger = from.level0_file_num_compaction_trigger;
  to.level0_slowdown_writes_trigger = from.level0_slowdown_writes_trigger;
  to.level0_stop_writes_trigger = from.level0_stop_writes_trigger;
  to.soft_pending_compaction_bytes_limit = size_of(from.soft_pending_compaction);
  to.hard_pending_compaction_bytes_limit = size_of(from.hard_pending_compaction);
  to.delayed_write_rate = static_cast<std::uint64_t>(from.delayed_write_rate.count());
  to.max_background_jobs = from.max_background_jobs;
  to.max_background_compactions = from.max_background_compactions;
  to.max_background_flushes = from.max_background_flushes;
  to.max_subcompactions = static_cast<std::uint32_t>(from.max_subcompactions);
  to.compression = rocksdb::kNoCompression;
}

void set_files(rocksdb::Options& to, const LsmOptions& from) {
  to.write_buffer_size = size_of(from.write_buffer);
  to.max_write_buffer_number = from.max_write_buffer_number;
  to.min_write_buffer_number_to_merge = from.min_write_buffer_number_to_merge;
  to.memtable_prefix_bloom_size_ratio = from.memtable_bloom_ratio;
  to.memtable_whole_key_filtering = from.memtable_bloom_ratio > 0;
  to.max_total_wal_size = size_of(from.max_total_wal);
  to.enable_blob_files = from.enable_blob_files;
  to.min_blob_size = size_of(from.min_blob);
  to.blob_file_size = size_of(from.blob_file);
  to.enable_blob_garbage_collection = from.enable_blob_garbage_collection;
  to.blob_garbage_collection_age_cutoff = from.blob_garbage_collection_age_cutoff;
  to.blob_garbage_collection_force_threshold = from.blob_garbage_collection_force_threshold;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = size_of(from.block);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(from.bloom_bits_per_key));
  to.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
}

}  // namespace

LsmReport report_of(const LsmTree& tree) {
  const LsmTotals& totals = tree.totals();
  LsmReport report;
  report.flushed = totals.flushed.real();
  report.compaction_read = totals.compaction_read.real();
  report.compaction_written = totals.compaction_written.real();
  report.blob_flushed = totals.blob_flushed.real();
  report.blob_collected = totals.blob_collected_written.real();
  report.wal = totals.wal.real();
  report.user = totals.user.real();
  report.tables = tree.table_bytes().real();
  report.blobs = tree.blob_bytes().real();
  report.flushes = static_cast<double>(totals.flushes);
  report.compactions = static_cast<double>(totals.compactions);
  for (int level = 0; level < tree.levels().count(); ++level) {
    report.files.push_back(static_cast<double>(tree.levels().files(level).size()));
  }
  return report;
}

RealLsm::RealLsm(const LsmOptions& options, double write_rate)
    : options_(options), listener_(std::make_shared<WorkListener>()) {
  folder_ = new_folder();
  settings_.create_if_missing = true;
  settings_.statistics = rocksdb::CreateDBStatistics();
  settings_.listeners.push_back(listener_);
  settings_.avoid_flush_during_shutdown = true;
  set_levels(settings_, options);
  set_files(settings_, options);
  if (write_rate > 0) {
    settings_.rate_limiter.reset(
        rocksdb::NewGenericRateLimiter(static_cast<std::int64_t>(write_rate), 20'000, 10));
  }
  rocksdb::DB* db = nullptr;
  check(rocksdb::DB::Open(settings_, folder_.string(), &db));
  db_.reset(db);

  Rng random = stream(7, "values");
  for (int i = 0; i < (1 << 20); ++i) {
    const std::uint64_t bits = random.bits();
    noise_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
}

RealLsm::~RealLsm() {
  db_.reset();
  std::filesystem::remove_all(folder_);
}

std::string RealLsm::text_of(LsmKey key) const {
  std::string text(size_of(options_.key), 'k');
  for (int i = 0; i < 8; ++i)
    text[static_cast<std::size_t>(i)] = static_cast<char>(key >> (56 - 8 * i));
  return text;
}

void RealLsm::put(LsmKey key, Bytes value) {
  noise_at_ = (noise_at_ + 4099) % (noise_.size() - size_of(value));
  const rocksdb::Slice bytes(noise_.data() + noise_at_, size_of(value));
  check(db_->Put(rocksdb::WriteOptions(), text_of(key), bytes));
  user_ += (options_.key + value).real();
}

void RealLsm::erase(LsmKey key) {
  check(db_->Delete(rocksdb::WriteOptions(), text_of(key)));
  user_ += options_.key.real();
}

double RealLsm::number(const std::string& property) const {
  std::uint64_t value = 0;
  if (!db_->GetIntProperty(property, &value)) throw std::runtime_error(property);
  return static_cast<double>(value);
}

void RealLsm::settle() {
  using Properties = rocksdb::DB::Properties;
  for (int quiet = 0; quiet < 2;) {
    const double active =
        number(Properties::kNumRunningCompactions) + number(Properties::kNumRunningFlushes) +
        number(Properties::kCompactionPending) + number(Properties::kMemTableFlushPending);
    quiet = active > 0 ? 0 : quiet + 1;
    if (active > 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

std::vector<double> RealLsm::files() const {
  std::vector<double> files;
  for (int level = 0; level < options_.num_levels; ++level) {
    std::string value;
    db_->GetProperty(rocksdb::DB::Properties::kNumFilesAtLevelPrefix + std::to_string(level),
                     &value);
    files.push_back(std::stod(value));
  }
  return files;
}

LsmReport RealLsm::report() const {
  LsmReport report = listener_->report();
  report.user = user_;
  report.wal = static_cast<double>(settings_.statistics->getTickerCount(rocksdb::WAL_FILE_BYTES));
  report.files = files();
  report.tables = number(rocksdb::DB::Properties::kLiveSstFilesSize);
  report.blobs = number(rocksdb::DB::Properties::kLiveBlobFileSize);
  return report;
}

double RealLsm::stalled_s() const {
  return static_cast<double>(settings_.statistics->getTickerCount(rocksdb::STALL_MICROS)) * 1e-6;
}

}  // namespace kvsim
