// What the bench of RocksDB is set up with, known to its twin too.
#pragma once

#include <string>

#include "sim/base/fields.hpp"
#include "sim/probe/sample.hpp"

namespace kvsim {

// As Kvrocks sets the library up (spec/kvrocks_rocksdb.md sections 2 and 8); what it does not name
// is the library's.
struct RocksdbBenchOptions {
  bool wal = true;
  bool enable_pipelined_write = false;
  bool enable_blob_files = false;
  std::string compression = "none";
  bool direct_reads = false;
  Bytes block{16 * 1024};
  double bloom_bits_per_key = 10;
  Bytes round{512LL << 20};
  Bytes working_set{256LL << 20};

  template <class F>
  void fields(F& f) {
    f.optional("wal", wal, "Whether a put goes to the write-ahead log first (never synced).");
    f.optional("enable_pipelined_write", enable_pipelined_write,
               "The log append of one put overlaps the memtable insert of the one before.");
    f.optional("enable_blob_files", enable_blob_files, "Keep values outside the tables.");
    f.choice("compression", compression, {"none", "lz4", "zstd"},
             "Of the tables that are read: they lie in level 2 then.");
    f.optional("direct_reads", direct_reads, "Read tables with O_DIRECT: no page cache.");
    f.optional("block_bytes", block, Range{256, 1e9}, "Data block; a bigger value has its own.");
    f.optional("bloom_bits_per_key", bloom_bits_per_key, Range{0, 100}, "Bloom filter of a table.");
    f.optional("round_bytes", round, Range{1, 1e12},
               "Puts that memtables have room for; then the database is made anew.");
    f.optional("working_set_bytes", working_set, Range{1, 1e12},
               "Values that gets go round: more than a processor's cache holds.");
  }
};

// How the bench lays out what it measures; its twin does the same.
namespace rocksdb_bench {

constexpr std::int64_t kMostKeys = 4096;
// Values of one multiget, which share its bytes.
constexpr std::int64_t kMultiget = 8;
// Values that lie in the database while gets of this are measured.
[[nodiscard]] std::int64_t keys_of(const BenchOperation& operation, Bytes working_set);
[[nodiscard]] Bytes value_of(const BenchOperation& operation);

}  // namespace rocksdb_bench

}  // namespace kvsim
