#include "sim/explain/kvrocks_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvsim {

namespace {

// Kvrocks' limiter of background writes when max-io-mb is 0, in MiB/s; auto-tuned it starts at
// half.
constexpr double kRateLimiterMebibytes = 1'024'000;
// Memtables that Kvrocks merges into one L0 file.
constexpr double kMemtablesMerged = 2;
// bf16 bytes a token of Llama-3-8B on one GPU, to say what a limit means in tokens.
constexpr double kExampleBytesPerToken = 131'072;

class Checks {
 public:
  Checks(const OptionReader& options, Explanation& out) : options_(options), out_(out) {}

  void run() {
    level_sizes();
    slowdown();
    caches();
    memtables_against_log();
    log_archive();
    background_jobs();
    triggers();
    compression();
    blobs();
    longest_value();
    memory();
    capacity();
  }

 private:
  [[nodiscard]] double number(const char* name) const { return options_.number(name); }
  [[nodiscard]] std::string size(const char* name) const {
    return human_bytes(number(name)) + options_.origin(name);
  }
  template <class... Facts>
  void complain(fmt::format_string<Facts...> text, Facts&&... facts) {
    out_.contradictions.push_back(fmt::format(text, std::forward<Facts>(facts)...));
  }
  template <class... Facts>
  void note(fmt::format_string<Facts...> text, Facts&&... facts) {
    out_.notes.push_back(fmt::format(text, std::forward<Facts>(facts)...));
  }

  // With blob files levels hold pointers only.
  void level_sizes() {
    if (options_.flag("rocksdb.enable_blob_files")) return;
    const double merged =
        std::clamp(number("rocksdb.max_write_buffer_number") - 1, 1.0, kMemtablesMerged);
    const double file = merged * number("rocksdb.write_buffer_size");
    const double base = number("rocksdb.max_bytes_for_level_base");
    if (file > base) {
      complain(
          "A flush makes an L0 file of {} ({:g} x write_buffer_size), more than the {} that L1 "
          "may hold (max_bytes_for_level_base): L1 is over its target after every compaction. "
          "{} L0 files at once would need {}.",
          human_bytes(file), merged, size("rocksdb.max_bytes_for_level_base"),
          number("rocksdb.level0_file_num_compaction_trigger"),
          human_bytes(file * number("rocksdb.level0_file_num_compaction_trigger")));
    }
    if (number("rocksdb.target_file_size_base") > base) {
      complain("One file of target_file_size_base {} is larger than L1's target of {}.",
               size("rocksdb.target_file_size_base"), size("rocksdb.max_bytes_for_level_base"));
    }
  }

  void slowdown() {
    if (number("rocksdb.delayed_write_rate") > 0 || number("max-io-mb") > 0) return;
    const bool tuned = options_.flag("rocksdb.rate_limiter_auto_tuned");
    const double rate = kRateLimiterMebibytes * (1 << 20) / (tuned ? 2 : 1);
    complain(
        "delayed_write_rate is 0{}: a slowdown takes the rate limiter's {}/s, which slows "
        "nothing. Writes run at full speed through {:g} L0 files into the hard stop at {:g}.",
        options_.origin("rocksdb.delayed_write_rate"), human_bytes(rate),
        number("rocksdb.level0_slowdown_writes_trigger"),
        number("rocksdb.level0_stop_writes_trigger"));
  }

  void caches() {
    const double block = kvrocks_block_cache_bytes(options_);
    const double row = number("rocksdb.row_cache_size");
    if (block > 0 && row > 0) {
      complain(
          "Block cache ({}), row cache ({}) and the page cache (reads are buffered) can hold "
          "the same bytes three times.",
          human_bytes(block), human_bytes(row));
    } else if (options_.given("rocksdb.block_cache_size") && block > 0) {
      complain(
          "Block cache ({}) and the page cache (reads are buffered) can hold the same bytes "
          "twice.",
          human_bytes(block));
    }
  }

  [[nodiscard]] double memtable_bytes() const {
    return number("rocksdb.write_buffer_size") * number("rocksdb.max_write_buffer_number");
  }

  void memtables_against_log() {
    const double log = number("rocksdb.max_total_wal_size");
    if (log <= 0 || log >= memtable_bytes()) return;
    complain("max_total_wal_size {} forces a flush before the memtables' {} ({:g} x {}) are used.",
             size("rocksdb.max_total_wal_size"), human_bytes(memtable_bytes()),
             number("rocksdb.max_write_buffer_number"),
             human_bytes(number("rocksdb.write_buffer_size")));
  }

  void log_archive() {
    const double limit = number("rocksdb.wal_size_limit_mb");
    const double age = number("rocksdb.wal_ttl_seconds");
    if (limit <= 0 && age <= 0) return;
    const std::string most = limit > 0 ? "up to " + size("rocksdb.wal_size_limit_mb")
                                       : std::string("without a limit of size");
    complain("Flushed logs are kept ({}, {}): what they hold is on the disk twice.", most,
             age > 0 ? fmt::format("{:g} s{}", age, options_.origin("rocksdb.wal_ttl_seconds"))
                     : std::string("of any age"));
  }

  void background_jobs() {
    const double jobs = number("rocksdb.max_background_jobs");
    for (const char* name :
         {"rocksdb.max_background_compactions", "rocksdb.max_background_flushes"}) {
      if (number(name) <= jobs) continue;
      complain(
          "{} {:g} is more than max_background_jobs {:g}{}: RocksDB leaves max_background_jobs "
          "out of account once either of the others is set.",
          std::string(name).substr(std::string("rocksdb.").size()), number(name), jobs,
          options_.origin("rocksdb.max_background_jobs"));
    }
  }

  void triggers() {
    const double merge = number("rocksdb.level0_file_num_compaction_trigger");
    const double slow = number("rocksdb.level0_slowdown_writes_trigger");
    const double stop = number("rocksdb.level0_stop_writes_trigger");
    if (merge <= slow && slow <= stop) return;
    complain(
        "L0 triggers must ascend: compaction {:g}, slowdown {:g}, stop {:g}; RocksDB raises "
        "the later ones.",
        merge, slow, stop);
  }

  void compression() {
    const std::string kind = lower_case(options_.text("rocksdb.compression"));
    if (kind == "no" || kind == "none") return;
    complain(
        "compression {} from level {:g} on: KV tensors hardly shrink, and a block that saves "
        "less than an eighth is stored raw: CPU for every compaction, nothing saved.",
        kind, number("rocksdb.compression_start_level"));
  }

  void blobs() {
    if (options_.flag("rocksdb.enable_blob_files")) return;
    std::string named;
    for (const char* name :
         {"rocksdb.min_blob_size", "rocksdb.blob_file_size",
          "rocksdb.enable_blob_garbage_collection", "rocksdb.blob_garbage_collection_age_cutoff"})
      if (options_.given(name)) named += (named.empty() ? "" : ", ") + std::string(name);
    if (!named.empty())
      complain("{}: without effect as long as rocksdb.enable_blob_files is no{}.", named,
               options_.origin("rocksdb.enable_blob_files"));
  }

  void longest_value() {
    if (!options_.given("proto-max-bulk-len")) return;
    const double most = number("proto-max-bulk-len");
    note(
        "proto-max-bulk-len {}: no chunk above {:.0f} tokens of Llama-3-8B (bf16, one GPU) is "
        "accepted.",
        human_bytes(most), most / kExampleBytesPerToken);
  }

  void memory() {
    const double block = kvrocks_block_cache_bytes(options_);
    const double row = number("rocksdb.row_cache_size");
    note(
        "DRAM without page cache: memtables up to {} ({:g} x {}), block cache {}, row cache {}: "
        "{}.",
        human_bytes(memtable_bytes()), number("rocksdb.max_write_buffer_number"),
        human_bytes(number("rocksdb.write_buffer_size")), human_bytes(block), human_bytes(row),
        human_bytes(memtable_bytes() + block + row));
  }

  void capacity() {
    if (number("max-db-size") > 0) return;
    note("max-db-size is 0{}: nothing is evicted, data grows until the disk is full.",
         options_.origin("max-db-size"));
  }

  const OptionReader& options_;
  Explanation& out_;
};

}  // namespace

double kvrocks_block_cache_bytes(const OptionReader& options) {
  const double whole = options.number("rocksdb.block_cache_size");
  if (whole > 0) return whole;
  const double metadata = options.number("rocksdb.metadata_block_cache_size");
  const bool shared = options.flag("rocksdb.share_metadata_and_subkey_block_cache");
  return metadata + (shared ? options.number("rocksdb.subkey_block_cache_size") : 0);
}

void check_kvrocks(const OptionReader& options, Explanation& out) { Checks(options, out).run(); }

}  // namespace kvsim
