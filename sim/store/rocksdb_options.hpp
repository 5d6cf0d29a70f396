// What RocksDB's work costs, beside what its LSM does (lsm_options.hpp). Defaults: Kvrocks's, and
// spec/kvrocks_rocksdb.md sections 1, 5 and 6; what is UNCERTAIN there says assumed here.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "sim/base/fields.hpp"
#include "sim/store/lsm_options.hpp"

namespace kvsim {

// What is there when time starts.
struct RocksdbStart {
  Bytes filled{0};
  Bytes value{8 * kMebibyte};
  std::string caches = "cold";
  template <class F>
  void fields(F& f) {
    f.optional("filled_bytes", filled, Range{0, 1e15},
               "Values of other keys that are there already, settled into the levels.");
    f.optional("value_bytes", value, Range{1, 4e9}, "Size of each of these.");
    f.choice("caches", caches, {"cold", "warm"},
             "Whether caches begin with the youngest values in them.");
  }
};

struct RocksdbOptions {
  LsmOptions lsm;
  std::string disk;
  Bytes block_cache{2048 * kMebibyte};
  std::int64_t block_cache_shards = 64;
  Bytes row_cache{0};
  std::optional<Bytes> page_cache;
  Bytes max_db{0};
  std::string eviction = "none";
  double eviction_fill = 0.7;
  Seconds lookup{20e-6};
  Bandwidth checksum{10e9};
  std::optional<Bandwidth> crc32c;
  double log_copies = 1;
  Seconds put{0};
  Seconds block{0};
  Seconds file_read{0};
  double page_cache_copies = 1;
  Bytes small_value{0};
  double small_copies = 1;
  Bytes fresh_from{8 * kMebibyte};
  Bandwidth compress{0.6e9};
  Bandwidth decompress{3e9};
  double buffered_read = 0.65;
  double flush_copies = 2;
  double compaction_copies = 4;
  Bytes background_io{8 * kMebibyte};
  std::optional<Bytes> dirty_limit;
  RocksdbStart start;

  template <class F>
  void fields(F& f) {
    f.required("disk", disk, "Which disk of the host holds the data.");
    f.optional("lsm", lsm, "The log-structured merge tree.");
    cache_fields(f);
    f.optional("max_db_bytes", max_db, Range{0, 1e16},
               "Writes are refused when files and memtables are larger; 0 = until the disk is "
               "full.");
    f.choice("eviction", eviction, {"none", "fifo", "lru"},
             "Kvrocks evicts nothing; fifo and lru delete keys as if somebody did.");
    f.optional("eviction_fill", eviction_fill, Range{0.05, 1},
               "Share of max_db_bytes that live values may take before keys are deleted: the rest "
               "is what compaction has not yet dropped. Default: assumed.");
    cost_fields(f);
    f.optional("initial_state", start, "What is there when time starts.");
  }

  [[nodiscard]] double copies_of_read(Bytes value) const {
    return value <= small_value ? small_copies : page_cache_copies;
  }
  [[nodiscard]] Bandwidth crc32c_or_default() const { return crc32c.value_or(checksum); }

  // A bloom filter's false positives at its best number of probes.
  [[nodiscard]] double false_positive() const {
    return lsm.bloom_bits_per_key > 0 ? std::pow(0.6185, lsm.bloom_bits_per_key) : 1;
  }

 private:
  template <class F>
  void cache_fields(F& f) {
    f.optional("block_cache_bytes", block_cache, Range{0, 1e15}, "Cache of data blocks.");
    f.optional("block_cache_shards", block_cache_shards, Range{1, 4096},
               "Parts of the block cache, each with its share of the bytes: a value larger than "
               "that does not stay.");
    f.optional("row_cache_bytes", row_cache, Range{0, 1e15},
               "Cache of whole values by table file; 0 = none.");
    f.optional("page_cache_bytes", page_cache, Range{0, 1e15},
               "The kernel's cache of these files. Default: what is left of the host's DRAM.");
    f.optional("dirty_limit_bytes", dirty_limit, Range{0, 1e15},
               "Log not yet on disk from which writers wait; default: a fifth of the page cache, "
               "as vm.dirty_ratio has it.");
  }
  template <class F>
  void cost_fields(F& f) {
    f.optional("lookup_s", lookup, Range{0, 1},
               "CPU of a lookup: memtables, filters, index. 10 to 50 us; assumed.");
    f.optional("checksum_bytes_per_s", checksum, Range{1e6, 1e13},
               "Of blocks (XXH3), one thread; assumed.");
    f.optional("crc32c_bytes_per_s", crc32c, Range{1e6, 1e13},
               "Of the log and of blobs, one thread. Default: as checksum_bytes_per_s.");
    f.optional("log_copies", log_copies, Range{0, 100},
               "Copies of a byte that is appended to the log: with what the file's new pages cost, "
               "in copies' worth of time. Default: assumed.");
    f.optional("put_s", put, Range{0, 1},
               "CPU of a put beside what its bytes cost. Default: assumed.");
    f.optional("block_s", block, Range{0, 1},
               "CPU of finding a block of a table, cached or not. Default: assumed.");
    f.optional("file_read_s", file_read, Range{0, 1},
               "CPU of a read of a file beside what its bytes cost. Default: assumed.");
    f.optional("page_cache_copies", page_cache_copies, Range{0, 100},
               "Copies of a byte that is read from the page cache, in copies' worth of time. "
               "Default: assumed.");
    f.optional("small_value_bytes", small_value, Range{0, 1e12},
               "Values up to this size stay in the processor's caches between their copies.");
    f.optional("small_copies", small_copies, Range{0, 100},
               "What page_cache_copies is for these. Default: assumed.");
    f.optional("fresh_from_bytes", fresh_from, Range{0, 1e15},
               "Memory of this size and more is given back to the kernel when it is freed, so that "
               "its pages are touched anew. Default: oversize_threshold of jemalloc 5.");
    f.optional("compress_bytes_per_s", compress, Range{1e6, 1e13},
               "One thread, of what does not shrink; assumed.");
    f.optional("decompress_bytes_per_s", decompress, Range{1e6, 1e13}, "One thread; assumed.");
    f.optional("buffered_read_share", buffered_read, Range{0.01, 1},
               "Of the device's rate, what one buffered read reaches: 0.5 to 0.8; assumed.");
    f.optional("flush_copies", flush_copies, Range{0, 100},
               "Copies of a byte that is flushed: block, page cache. Assumed.");
    f.optional("compaction_copies", compaction_copies, Range{0, 100},
               "Copies of a byte that is compacted: from the page cache, block, new block, page "
               "cache. Assumed.");
    f.optional("background_io_bytes", background_io, Range{4096, 1e12},
               "Pieces in which jobs read, work and write: finer is slower to simulate.");
  }
};

}  // namespace kvsim
