// Table and blob files of an LSM tree, down to their entries.
//
// Values are few and big, so a file is the list of its entries: 16 bytes each, sorted by key. What
// a value contains is nobody's business; its size and where it lies are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/store/lsm_options.hpp"

namespace kvsim {

using LsmKey = std::uint64_t;  // a hash: keys are spread evenly
using FileId = std::uint64_t;  // of table and blob files alike; a younger file has a larger one

struct LsmEntry {
  static constexpr std::uint32_t kInline = 0;
  static constexpr std::uint32_t kTombstone = 0xffffffff;

  LsmKey key = 0;
  std::uint32_t value_bytes = 0;
  std::uint32_t blob = kInline;  // the blob file that holds the value, or one of the above

  [[nodiscard]] bool tombstone() const { return blob == kTombstone; }
  [[nodiscard]] bool in_blob_file() const { return blob != kInline && blob != kTombstone; }
  [[nodiscard]] Bytes value() const { return Bytes(value_bytes); }
};

struct KeyRange {  // both ends included
  LsmKey first = 0;
  LsmKey last = 0;
  [[nodiscard]] bool overlaps(const KeyRange& other) const {
    return first <= other.last && other.first <= last;
  }
  [[nodiscard]] bool covers(LsmKey key) const { return first <= key && key <= last; }
  void include(const KeyRange& other) {
    first = std::min(first, other.first);
    last = std::max(last, other.last);
  }
};

struct SstFile {
  FileId id = 0;
  Bytes bytes{0};              // on disk
  Bytes compensated_bytes{0};  // what scores count: more for files full of tombstones
  std::vector<LsmEntry> entries;
  std::int64_t tombstones = 0;
  FileId oldest_blob = 0;  // of those its entries refer to; 0 = none
  bool compacting = false;
  std::int64_t overlap_ratio = 0;  // LsmLevels: bytes below over its own, in 1/1024

  [[nodiscard]] KeyRange range() const { return {entries.front().key, entries.back().key}; }
};

struct BlobFile {
  Bytes bytes{0};         // on disk
  Bytes garbage{0};       // of blobs that no table file refers to
  std::int64_t live = 0;  // blobs that one does
};

// Sizes of RocksDB's formats (block-based table 5, blob log 1, log format), to within a per cent.
struct LsmFormat {
  // Key with sequence and type, lengths, value or blob reference.
  static Bytes table_entry(const LsmOptions& options, const LsmEntry& entry);
  // Trailer, restart points and index entry of a data block; index keys are cut short, so keys that
  // differ early cost a few bytes only.
  static constexpr Bytes kTableBlock{26};
  // Properties, metaindex and footer.
  static constexpr Bytes kTableFile{1150};
  static Bytes blob_record(const LsmOptions& options, Bytes value) {
    return Bytes(32) + options.key + value;
  }
  static constexpr Bytes kBlobFile{62};  // header and footer
  // Batch header, record headers of 7 bytes for each 32 KiB.
  static Bytes wal_record(const LsmOptions& options, Bytes value);
  // Skip list node, lengths, key with sequence and type.
  static Bytes memtable_entry(const LsmOptions& options, Bytes value) {
    return Bytes(8 + 8 + 1 + 3 + 8) + options.key + value;
  }
};

}  // namespace kvsim
