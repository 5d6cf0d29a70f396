#include "sim/store/lsm_file.hpp"

namespace kvsim {

namespace {

// Length of an integer in RocksDB's variable-length encoding.
Bytes varint(std::int64_t value) {
  std::int64_t length = 1;
  for (; value >= 128; value /= 128) ++length;
  return Bytes(length);
}

// Type, file number, offset, size, compression.
Bytes blob_reference(const LsmOptions& options, const LsmEntry& entry) {
  return Bytes(2) + varint(entry.blob) + varint(options.blob_file.count() / 2) +
         varint(entry.value_bytes);
}

constexpr Bytes kKeyTrailer{8};  // sequence and type
constexpr std::int64_t kWalBlock = 32 * kKibibyte;
constexpr Bytes kWalRecordHeader{7};
constexpr Bytes kWriteBatch{12 + 1 + 1 + 4};  // sequence, count, type, lengths

}  // namespace

Bytes LsmFormat::table_entry(const LsmOptions& options, const LsmEntry& entry) {
  Bytes payload = entry.value();
  if (entry.tombstone()) payload = Bytes(0);
  if (entry.in_blob_file()) payload = blob_reference(options, entry);
  const Bytes filter(static_cast<std::int64_t>(options.bloom_bits_per_key / 8));
  const Bytes lengths = Bytes(2) + varint(payload.count());
  return lengths + options.key + kKeyTrailer + payload + filter;
}

Bytes LsmFormat::wal_record(const LsmOptions& options, Bytes value) {
  const Bytes payload = kWriteBatch + options.key + value;
  return payload + kWalRecordHeader * groups_of(payload.count(), kWalBlock);
}

}  // namespace kvsim
