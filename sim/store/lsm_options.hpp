// Options of one column family of RocksDB, as Kvrocks sets them.
//
// Defaults are those of Kvrocks 2.10 where it sets one, else those of RocksDB 9. Numbers that
// neither program fixes are marked "assumed".
#pragma once

#include <algorithm>
#include <string>

#include "sim/base/fields.hpp"
#include "sim/base/units.hpp"

namespace kvsim {

inline constexpr std::int64_t kKibibyte = 1024;
inline constexpr std::int64_t kMebibyte = 1024 * kKibibyte;
inline constexpr std::int64_t kGibibyte = 1024 * kMebibyte;

struct LsmOptions {
  // Memtables.
  Bytes write_buffer{64 * kMebibyte};
  int max_write_buffer_number = 4;
  int min_write_buffer_number_to_merge = 2;
  double memtable_bloom_ratio = 0.1;
  // Levels.
  int num_levels = 7;
  Bytes target_file_size_base{128 * kMebibyte};
  int target_file_size_multiplier = 1;
  Bytes max_bytes_for_level_base{256 * kMebibyte};
  double max_bytes_for_level_multiplier = 10;
  bool level_compaction_dynamic_level_bytes = false;
  bool level_compaction_dynamic_file_size = true;
  Bytes max_compaction{0};
  int level0_file_num_compaction_trigger = 4;
  // Stalls.
  int level0_slowdown_writes_trigger = 20;
  int level0_stop_writes_trigger = 40;
  Bytes soft_pending_compaction{64 * kGibibyte};
  Bytes hard_pending_compaction{256 * kGibibyte};
  Bandwidth delayed_write_rate{0};
  Bandwidth rate_limit{512'000.0 * kMebibyte};
  // Background work.
  int max_background_jobs = 4;
  int max_background_compactions = 2;
  int max_background_flushes = 2;
  int max_subcompactions = 2;
  bool speedup_by_debt = true;
  Bytes compaction_readahead{2 * kMebibyte};
  // Write-ahead log.
  bool wal = true;
  Bytes max_total_wal{512 * kMebibyte};
  Seconds wal_ttl{10800};
  Bytes wal_size_limit{16384 * kMebibyte};
  bool enable_pipelined_write = false;
  // Table files.
  Bytes key{120};
  Bytes block{16 * kKibibyte};
  double bloom_bits_per_key = 10;
  std::string compression = "none";
  int compression_start_level = 2;
  double compression_ratio = 1.0;
  // Blob files.
  bool enable_blob_files = false;
  Bytes min_blob{4096};
  Bytes blob_file{256 * kMebibyte};
  bool enable_blob_garbage_collection = true;
  double blob_garbage_collection_age_cutoff = 0.25;
  double blob_garbage_collection_force_threshold = 1.0;

  template <class F>
  void fields(F& f) {
    write_fields(f);
    level_fields(f);
    stall_fields(f);
    file_fields(f);
  }

  // RocksDB's rules for options left at zero.
  [[nodiscard]] Bytes max_compaction_or_default() const {
    return max_compaction > Bytes(0) ? max_compaction : target_file_size_base * 25;
  }
  [[nodiscard]] Bytes max_total_wal_or_default() const {
    return max_total_wal > Bytes(0) ? max_total_wal : write_buffer * max_write_buffer_number * 4;
  }
  [[nodiscard]] Bandwidth delayed_write_rate_or_default() const {
    if (delayed_write_rate > Bandwidth(0)) return delayed_write_rate;
    return rate_limit > Bandwidth(0) ? rate_limit : Bandwidth(16.0 * kMebibyte);
  }
  // RocksDB splits max_background_jobs only while neither of the older two options is set.
  [[nodiscard]] int flush_limit() const;
  [[nodiscard]] int compaction_limit() const;
  // LZ4 and ZSTD start at compression_start_level; a block that shrinks by less than 12.5 % is
  // stored as it is (max_compressed_bytes_per_kb = 896).
  [[nodiscard]] bool compresses(int level) const {
    return compression != "none" && level >= compression_start_level;
  }
  [[nodiscard]] double stored_share(int level) const {
    return compresses(level) && compression_ratio >= 1024.0 / 896.0 ? 1.0 / compression_ratio : 1.0;
  }

 private:
  template <class F>
  void write_fields(F& f) {
    f.optional("write_buffer_bytes", write_buffer, Range{4096, 1e13}, "Size of a memtable.");
    f.optional("max_write_buffer_number", max_write_buffer_number, Range{2, 1000},
               "Writes stop when so many memtables wait to be flushed.");
    f.optional("min_write_buffer_number_to_merge", min_write_buffer_number_to_merge, Range{1, 100},
               "Memtables flushed into one file; Kvrocks fixes it at 2.");
    f.optional("memtable_bloom_ratio", memtable_bloom_ratio, Range{0, 0.25},
               "Share of a memtable taken by its bloom filter; Kvrocks fixes it at 0.1.");
    f.optional("wal", wal, "Whether writes go to the write-ahead log first.");
    f.optional("max_total_wal_bytes", max_total_wal, Range{0, 1e15},
               "Live log above which memtables are flushed; 0 = four times all memtables.");
    f.optional("wal_ttl_s", wal_ttl, Range{0, 1e9}, "Age up to which an old log is archived.");
    f.optional("wal_size_limit_bytes", wal_size_limit, Range{0, 1e15},
               "Bytes of archived logs; 0 = no limit. Nothing is archived if both are 0.");
    f.optional("enable_pipelined_write", enable_pipelined_write,
               "The log append of one write overlaps the memtable insert of the one before.");
    f.optional("max_background_jobs", max_background_jobs, Range{1, 1000},
               "Flushes and compactions at a time, unless the two below say otherwise.");
    f.optional("max_background_compactions", max_background_compactions, Range{-1, 1000},
               "Compactions at a time; -1 = from max_background_jobs.");
    f.optional("max_background_flushes", max_background_flushes, Range{-1, 1000},
               "Flushes at a time; -1 = from max_background_jobs.");
    f.optional("max_subcompactions", max_subcompactions, Range{1, 1000},
               "Threads of a compaction out of level 0.");
  }
  template <class F>
  void level_fields(F& f) {
    f.optional("num_levels", num_levels, Range{2, 20}, "Levels, level 0 included.");
    f.optional("target_file_size_base_bytes", target_file_size_base, Range{4096, 1e13},
               "Size of a table file in level 1.");
    f.optional("target_file_size_multiplier", target_file_size_multiplier, Range{1, 100},
               "Growth of the file size with each level below.");
    f.optional("max_bytes_for_level_base_bytes", max_bytes_for_level_base, Range{4096, 1e15},
               "Target of level 1.");
    f.optional("max_bytes_for_level_multiplier", max_bytes_for_level_multiplier, Range{1.01, 1000},
               "Target of a level over that of the level above.");
    f.optional("level_compaction_dynamic_level_bytes", level_compaction_dynamic_level_bytes,
               "Derive the targets from the size of the last level.");
    f.optional("level_compaction_dynamic_file_size", level_compaction_dynamic_file_size,
               "Cut files at the boundaries of the next level; RocksDB's default since 7.8.");
    f.optional("max_compaction_bytes", max_compaction, Range{0, 1e15},
               "Limit of one compaction; 0 = 25 table files.");
    f.optional("level0_file_num_compaction_trigger", level0_file_num_compaction_trigger,
               Range{1, 10000}, "Files in level 0 that start a compaction.");
    f.optional("compaction_readahead_bytes", compaction_readahead, Range{0, 1e12},
               "Size of a compaction's reads.");
  }
  template <class F>
  void stall_fields(F& f) {
    f.optional("level0_slowdown_writes_trigger", level0_slowdown_writes_trigger, Range{1, 100000},
               "Files in level 0 from which writes are delayed.");
    f.optional("level0_stop_writes_trigger", level0_stop_writes_trigger, Range{1, 100000},
               "Files in level 0 from which writes stop.");
    f.optional("soft_pending_compaction_bytes", soft_pending_compaction, Range{0, 1e16},
               "Compaction debt from which writes are delayed; 0 = never.");
    f.optional("hard_pending_compaction_bytes", hard_pending_compaction, Range{0, 1e16},
               "Compaction debt from which writes stop; 0 = never.");
    f.optional("delayed_write_rate_bytes_per_s", delayed_write_rate, Range{0, 1e15},
               "Rate of delayed writes at first; 0 = the rate limiter's, or 16 MiB/s without one.");
    f.optional("rate_limit_bytes_per_s", rate_limit, Range{0, 1e15},
               "Rate limiter of background writes; 0 = none. Kvrocks: half of 1,024,000 MiB/s.");
    f.optional("speedup_by_debt", speedup_by_debt,
               "Run compactions in parallel once the debt is an eighth of the last level, as "
               "RocksDB 9 does; false: only from a quarter of the soft limit, as 7.8 does.");
  }
  template <class F>
  void file_fields(F& f) {
    f.optional("key_bytes", key, Range{1, 65536}, "Mean size of a key; assumed.");
    f.optional("block_bytes", block, Range{256, 1e9}, "Data block; a bigger value has its own.");
    f.optional("bloom_bits_per_key", bloom_bits_per_key, Range{0, 100}, "Bloom filter of a file.");
    f.choice("compression", compression, {"none", "lz4", "zstd"}, "Of the levels below.");
    f.optional("compression_start_level", compression_start_level, Range{0, 20},
               "First compressed level.");
    f.optional("compression_ratio", compression_ratio, Range{1, 100},
               "Bytes before over bytes after compression; assumed 1 for KV caches.");
    f.optional("enable_blob_files", enable_blob_files, "Keep big values outside the levels.");
    f.optional("min_blob_bytes", min_blob, Range{0, 1e12}, "Values from this size are blobs.");
    f.optional("blob_file_bytes", blob_file, Range{4096, 1e13}, "Size of a blob file.");
    f.optional("enable_blob_garbage_collection", enable_blob_garbage_collection,
               "Compactions move the live blobs out of the oldest files.");
    f.optional("blob_garbage_collection_age_cutoff", blob_garbage_collection_age_cutoff,
               Range{0, 1}, "Share of the blob files, oldest first, that is old.");
    f.optional("blob_garbage_collection_force_threshold", blob_garbage_collection_force_threshold,
               Range{0, 1}, "Garbage in the oldest files that starts a compaction; 1 = never.");
  }
};

inline int LsmOptions::flush_limit() const {
  if (max_background_flushes < 0 && max_background_compactions < 0) {
    return std::max(1, max_background_jobs / 4);
  }
  return std::max(1, max_background_flushes);
}

inline int LsmOptions::compaction_limit() const {
  if (max_background_flushes < 0 && max_background_compactions < 0) {
    return std::max(1, max_background_jobs - flush_limit());
  }
  return std::max(1, max_background_compactions);
}

}  // namespace kvsim
