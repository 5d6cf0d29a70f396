// Names, units, limits and defaults follow Kvrocks' src/config/config.cc; what an option does is
// described in our own words after its sources and RocksDB's. Sizes in "MB" are multiples of 2^20.
#include "sim/explain/kvrocks_options.hpp"

#include <array>

namespace kvsim {

namespace {

constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kIgnored = Effect::kIgnoredByReal;
constexpr Effect kNotModelled = Effect::kNotModelled;
constexpr double kIntMax = 2147483647;
constexpr double kNoLimit = 9e18;

using Rows = std::vector<OptionRow>;

Rows server_rows() {
  return {
      {"workers", kModelled, "/workers", Unit::kInteger, Range{1, 256}, "8",
       "Threads that run commands; a connection stays on one of them, and a big GET or SET blocks "
       "the others there."},
      {"max-db-size", kModelled, "/max_db_bytes", Unit::kGibibytes, Range{0, kIntMax}, "0",
       "Size in GiB above which writes fail; 0 = none. Nothing is ever evicted."},
      {"proto-max-bulk-len", kModelled, "/proto_max_bulk_bytes", Unit::kRedisMemory,
       Range{1 << 20, kNoLimit}, "512mb", "Longer values are rejected."},
      {"max-io-mb", kModelled, "/lsm/rate_limit_bytes_per_s", Unit::kMebibytes, Range{0, kIntMax},
       "0", "Cap on the write rate of flushes and compactions; 0 means 1,024,000 MiB/s."},
      {"auto-resize-block-and-sst", kIgnored, "", Unit::kFlag, kAnyRange, "yes",
       "Parsed, but the routine that would resize is never called."},
      {"enable-blob-cache", kIgnored, "", Unit::kFlag, kAnyRange, "no",
       "Not an option of Kvrocks 2.10: a warning at start-up, nothing else."},
      {"compaction-checker-range", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Hours in which old files are compacted."},
      {"compaction-checker-cron", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Times at which old or deleted-heavy files are compacted."},
      {"compact-cron", kNotModelled, "", Unit::kText, kAnyRange, "", "Times of a full compaction."},
      {"force-compact-file-age", kNotModelled, "", Unit::kInteger, kAnyRange, "172800",
       "Age at which the compaction checker takes a file."},
      {"force-compact-file-min-deleted-percentage", kNotModelled, "", Unit::kInteger, Range{1, 100},
       "10", "Share of deleted entries at which the checker takes a file."},
      {"slowlog-log-slower-than", kNotModelled, "", Unit::kInteger, kAnyRange, "200000",
       "Logging only."},
      {"slowlog-max-len", kNotModelled, "", Unit::kInteger, kAnyRange, "128", "Logging only."},
      {"maxclients", kNotModelled, "", Unit::kInteger, kAnyRange, "10240",
       "Far above what clients of a KV cache open."},
      {"cluster-enabled", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Sharding over servers; state one store per server instead."},
      {"replicaof", kNotModelled, "", Unit::kText, kAnyRange, "", "Replication is not modelled."},
      {"slaveof", kNotModelled, "", Unit::kText, kAnyRange, "", "Replication is not modelled."},
      {"tls-port", kNotModelled, "", Unit::kInteger, kAnyRange, "0",
       "Encryption costs CPU that is not modelled."},
      {"json-storage-format", kNotModelled, "", Unit::kText, kAnyRange, "json",
       "Of JSON values; a KV cache stores strings."},
      {"txn-context-enabled", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Of transactions; a KV cache has none."},
  };
}

// Options without an influence on speed, or of features that a KV cache does not use.
constexpr std::array kPlainNames{"bind",
                                 "port",
                                 "unixsocket",
                                 "unixsocketperm",
                                 "socket-fd",
                                 "timeout",
                                 "tcp-backlog",
                                 "daemonize",
                                 "supervised",
                                 "pidfile",
                                 "db-name",
                                 "dir",
                                 "log-dir",
                                 "log-level",
                                 "log-retention-days",
                                 "backup-dir",
                                 "bgsave-cron",
                                 "dbsize-scan-cron",
                                 "requirepass",
                                 "masterauth",
                                 "rename-command",
                                 "max-backup-to-keep",
                                 "max-backup-keep-hours",
                                 "purge-backup-on-fullsync",
                                 "master-use-repl-port",
                                 "replica-announce-ip",
                                 "replica-announce-port",
                                 "slave-serve-stale-data",
                                 "slave-empty-db-before-fullsync",
                                 "slave-priority",
                                 "slave-read-only",
                                 "max-replication-mb",
                                 "max-bitmap-to-string-mb",
                                 "use-rsid-psync",
                                 "replication-connect-timeout-ms",
                                 "replication-recv-timeout-ms",
                                 "replication-group-sync",
                                 "replication-no-slowdown",
                                 "replication-delay-bytes",
                                 "replication-delay-updates",
                                 "fullsync-recv-file-delay",
                                 "profiling-sample-ratio",
                                 "profiling-sample-commands",
                                 "profiling-sample-record-max-len",
                                 "profiling-sample-record-threshold-ms",
                                 "slowlog-dump-logfile-level",
                                 "migrate-speed",
                                 "migrate-type",
                                 "migrate-pipeline-size",
                                 "migrate-sequence-gap",
                                 "migrate-batch-size-kb",
                                 "migrate-batch-rate-limit-mb",
                                 "persist-cluster-nodes-enabled",
                                 "redis-cursor-compatible",
                                 "redis-databases",
                                 "resp3-enabled",
                                 "repl-namespace-enabled",
                                 "json-max-nesting-depth",
                                 "skip-block-cache-deallocation-on-close",
                                 "histogram-bucket-boundaries",
                                 "lua-strict-key-accessing",
                                 "tls-cert-file",
                                 "tls-key-file",
                                 "tls-key-file-pass",
                                 "tls-ca-cert-file",
                                 "tls-ca-cert-dir",
                                 "tls-protocols",
                                 "tls-auth-clients",
                                 "tls-ciphers",
                                 "tls-ciphersuites",
                                 "tls-prefer-server-ciphers",
                                 "tls-session-caching",
                                 "tls-session-cache-size",
                                 "tls-session-cache-timeout",
                                 "tls-replication"};

Rows plain_rows() {
  Rows rows;
  for (const char* name : kPlainNames)
    rows.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "",
                    "Without influence on how fast values are stored and read."});
  return rows;
}

Rows cache_rows() {
  return {
      {"rocksdb.block_cache_size", kModelled, "/block_cache_bytes", Unit::kMebibytes,
       Range{0, kIntMax}, "0",
       "DRAM for blocks, and a big value is one block; 0 takes metadata plus subkey cache size."},
      {"rocksdb.metadata_block_cache_size", kNotModelled, "", Unit::kMebibytes, Range{0, kIntMax},
       "2048", "Block cache of string values when block_cache_size is 0."},
      {"rocksdb.subkey_block_cache_size", kNotModelled, "", Unit::kMebibytes, Range{0, kIntMax},
       "2048", "Block cache of other types; added to the former when the two are shared."},
      {"rocksdb.share_metadata_and_subkey_block_cache", kNotModelled, "", Unit::kFlag, kAnyRange,
       "yes", "One block cache for all column families when block_cache_size is 0."},
      {"rocksdb.row_cache_size", kModelled, "/row_cache_bytes", Unit::kMebibytes, Range{0, kIntMax},
       "0",
       "DRAM for whole values by file and key: looked up before blocks, gone when a compaction "
       "replaces the file."},
      {"rocksdb.block_cache_type", kNotModelled, "", Unit::kText, kAnyRange, "lru",
       "Which cache; modelled as LRU by bytes."},
      {"rocksdb.cache_index_and_filter_blocks", kNotModelled, "", Unit::kFlag, kAnyRange, "yes",
       "Index and filters are small beside values of megabytes."},
      {"rocksdb.partition_filters", kIgnored, "", Unit::kFlag, kAnyRange, "yes",
       "Not an option of Kvrocks 2.10: filters are partitioned anyway."},
      {"rocksdb.max_open_files", kNotModelled, "", Unit::kInteger, Range{-1, kIntMax}, "8096",
       "Tables kept open (-1 = all); opening a file again is not modelled."},
      {"rocksdb.block_size", kModelled, "/lsm/block_bytes", Unit::kBytes, Range{0, kIntMax},
       "16384",
       "Irrelevant for big values: one that is larger gets a block of its own, read at once."},
  };
}

Rows write_rows() {
  return {
      {"rocksdb.write_buffer_size", kModelled, "/lsm/write_buffer_bytes", Unit::kMebibytes,
       Range{0, 4096}, "64", "Size of a memtable; a full one waits for its flush."},
      {"rocksdb.max_write_buffer_number", kModelled, "/lsm/max_write_buffer_number", Unit::kInteger,
       Range{0, 256}, "4",
       "Memtables in DRAM: a burst fits until they are full, then writes stop."},
      {"rocksdb.min_write_buffer_number_to_merge", kIgnored, "", Unit::kInteger, Range{1, 256}, "2",
       "Not an option of Kvrocks 2.10: hard-coded there, two memtables make one L0 file."},
      {"rocksdb.max_total_wal_size", kModelled, "/lsm/max_total_wal_bytes", Unit::kMebibytes,
       Range{0, kIntMax}, "512", "A longer write-ahead log forces a flush."},
      {"rocksdb.wal_ttl_seconds", kModelled, "/lsm/wal_ttl_s", Unit::kSeconds, Range{0, kIntMax},
       "10800", "How long logs are kept after their flush."},
      {"rocksdb.wal_size_limit_mb", kModelled, "/lsm/wal_size_limit_bytes", Unit::kMebibytes,
       Range{0, kIntMax}, "16384", "Most disk that kept logs may take."},
      {"rocksdb.wal_compression", kNotModelled, "", Unit::kText, kAnyRange, "no",
       "KV tensors do not shrink."},
      {"rocksdb.enable_pipelined_write", kModelled, "/lsm/enable_pipelined_write", Unit::kFlag,
       kAnyRange, "no", "The log of one SET is written while the one before goes to the memtable."},
      {"rocksdb.delayed_write_rate", kModelled, "/lsm/delayed_write_rate_bytes_per_s", Unit::kBytes,
       Range{0, kNoLimit}, "0", "Write rate while compactions lag; 0 takes the rate limiter's."},
      {"rocksdb.rate_limiter_auto_tuned", kNotModelled, "", Unit::kFlag, kAnyRange, "yes",
       "The limiter of flushes and compactions starts at half of max-io-mb."},
  };
}

Rows write_option_rows() {
  return {
      {"rocksdb.write_options.sync", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "An fsync for each SET; the model writes the log through the page cache."},
      {"rocksdb.write_options.disable_wal", kModelled, "/lsm/wal", Unit::kFlag, kAnyRange, "no",
       "SETs without log: lost when the server stops."},
      {"rocksdb.write_options.no_slowdown", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Writes fail instead of waiting in a stall."},
      {"rocksdb.write_options.low_pri", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Writes give way to compactions."},
      {"rocksdb.write_options.memtable_insert_hint_per_batch", kNotModelled, "", Unit::kFlag,
       kAnyRange, "no", "Cost of inserting an entry, small beside copying megabytes."},
      {"rocksdb.write_options.write_batch_max_bytes", kNotModelled, "", Unit::kBytes,
       Range{0, kIntMax}, "0", "A longer batch fails."},
  };
}

Rows level_rows() {
  return {
      {"rocksdb.target_file_size_base", kModelled, "/lsm/target_file_size_base_bytes",
       Unit::kMebibytes, Range{1, 1024}, "128", "Where a compaction cuts its output files."},
      {"rocksdb.max_bytes_for_level_base", kModelled, "/lsm/max_bytes_for_level_base_bytes",
       Unit::kBytes, Range{0, kNoLimit}, "268435456", "How much L1 may hold."},
      {"rocksdb.max_bytes_for_level_multiplier", kModelled, "/lsm/max_bytes_for_level_multiplier",
       Unit::kInteger, Range{1, 100}, "10",
       "How much larger each level is: write amplification grows with it, depth shrinks."},
      {"rocksdb.level_compaction_dynamic_level_bytes", kModelled,
       "/lsm/level_compaction_dynamic_level_bytes", Unit::kFlag, kAnyRange, "no",
       "Level sizes follow from the last level's."},
      {"rocksdb.level0_file_num_compaction_trigger", kModelled,
       "/lsm/level0_file_num_compaction_trigger", Unit::kInteger, Range{1, 1024}, "4",
       "L0 files at which they are merged into L1."},
      {"rocksdb.level0_slowdown_writes_trigger", kModelled, "/lsm/level0_slowdown_writes_trigger",
       Unit::kInteger, Range{0, 1024}, "20", "L0 files at which writes are slowed."},
      {"rocksdb.level0_stop_writes_trigger", kModelled, "/lsm/level0_stop_writes_trigger",
       Unit::kInteger, Range{1, 1024}, "40", "L0 files at which writes stop."},
  };
}

Rows background_rows() {
  return {
      {"rocksdb.max_background_jobs", kModelled, "/lsm/max_background_jobs", Unit::kInteger,
       Range{0, 32}, "4", "Flushes and compactions at once, when neither has a limit of its own."},
      {"rocksdb.max_background_compactions", kModelled, "/lsm/max_background_compactions",
       Unit::kInteger, Range{-1, 32}, "2",
       "Compactions at once; they share disk and CPU with reads."},
      {"rocksdb.max_background_flushes", kModelled, "/lsm/max_background_flushes", Unit::kInteger,
       Range{-1, 32}, "2", "Flushes at once."},
      {"rocksdb.max_subcompactions", kModelled, "/lsm/max_subcompactions", Unit::kInteger,
       Range{0, 16}, "2", "Threads that share one compaction."},
      {"rocksdb.compression", kModelled, "/lsm/compression", Unit::kText, kAnyRange, "no",
       "CPU for each compaction; KV tensors hardly shrink."},
      {"rocksdb.compression_start_level", kModelled, "/lsm/compression_start_level", Unit::kInteger,
       Range{0, 6}, "2", "Levels above are stored raw."},
      {"rocksdb.compression_level", kNotModelled, "", Unit::kInteger, kAnyRange, "32767",
       "Effort of the compression."},
      {"rocksdb.compaction_readahead_size", kModelled, "/lsm/compaction_readahead_bytes",
       Unit::kBytes, Range{0, 64.0 * (1 << 20)}, "2097152",
       "Size of a compaction's reads; point reads do not use it."},
      {"rocksdb.disable_auto_compactions", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "The model always compacts."},
      {"rocksdb.max_compaction_bytes", kModelled, "/lsm/max_compaction_bytes", Unit::kBytes,
       Range{0, kNoLimit}, "0", "Most input of one compaction; 0 is 25 files."},
      {"rocksdb.periodic_compaction_seconds", kNotModelled, "", Unit::kSeconds, kAnyRange, "0",
       "Files are rewritten at this age: longer than a simulated run."},
      {"rocksdb.ttl", kNotModelled, "", Unit::kSeconds, kAnyRange, "0",
       "Files are compacted at this age: longer than a simulated run."},
      {"rocksdb.daily_offpeak_time_utc", kNotModelled, "", Unit::kText, kAnyRange, "",
       "When periodic compactions are preferred."},
      {"rocksdb.sst_file_delete_rate_bytes_per_sec", kNotModelled, "", Unit::kBytes,
       Range{0, kNoLimit}, "0", "Deleting files is free in the model."},
  };
}

Rows other_rows() {
  return {
      {"rocksdb.enable_blob_files", kModelled, "/lsm/enable_blob_files", Unit::kFlag, kAnyRange,
       "no", "Big values go to blob files at their flush and are not moved by compactions."},
      {"rocksdb.min_blob_size", kModelled, "/lsm/min_blob_bytes", Unit::kBytes, Range{0, kIntMax},
       "4096", "Values from this size on go to blob files."},
      {"rocksdb.blob_file_size", kModelled, "/lsm/blob_file_bytes", Unit::kBytes, Range{0, kIntMax},
       "268435456", "Where blob files are cut."},
      {"rocksdb.enable_blob_garbage_collection", kModelled, "/lsm/enable_blob_garbage_collection",
       Unit::kFlag, kAnyRange, "yes", "Compactions rewrite what lives in old blob files."},
      {"rocksdb.blob_garbage_collection_age_cutoff", kModelled,
       "/lsm/blob_garbage_collection_age_cutoff", Unit::kPercent, Range{0, 100}, "25",
       "Which oldest share of blob files that concerns."},
      {"rocksdb.read_options.async_io", kNotModelled, "", Unit::kFlag, kAnyRange, "yes",
       "Overlaps the reads of an MGET."},
      {"rocksdb.avoid_unnecessary_blocking_io", kNotModelled, "", Unit::kFlag, kAnyRange, "yes",
       "Obsolete files are deleted in the background."},
      {"rocksdb.stats_dump_period_sec", kNotModelled, "", Unit::kInteger, kAnyRange, "0",
       "Logging only."},
      {"rocksdb.dump_malloc_stats", kIgnored, "", Unit::kFlag, kAnyRange, "yes",
       "Not an option of Kvrocks 2.10: a warning at start-up, nothing else."},
  };
}

}  // namespace

const OptionTable& kvrocks_options() {
  static const OptionTable table = [] {
    Rows all;
    for (const Rows& rows : {server_rows(), plain_rows(), cache_rows(), write_rows(),
                             write_option_rows(), level_rows(), background_rows(), other_rows()})
      all.insert(all.end(), rows.begin(), rows.end());
    return OptionTable("Kvrocks", all);
  }();
  return table;
}

}  // namespace kvsim
