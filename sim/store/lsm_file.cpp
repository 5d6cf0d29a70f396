#include "sim/store/lsm_file.hpp"

namespace kvsim {

namespace {

constexpr Bytes kBlobReference{14};  // type, file number, offset, size and compression
constexpr std::int64_t kWalBlock = 32 * kKibibyte;
constexpr Bytes kWalRecordHeader{7};
constexpr Bytes kWriteBatch{12 + 1 + 1 + 4};  // sequence, count, type, lengths

}  // namespace

Bytes LsmFormat::table_entry(const LsmOptions& options, const LsmEntry& entry) {
  const Bytes key = options.key + Bytes(8 + 5);
  const Bytes filter(static_cast<std::int64_t>(options.bloom_bits_per_key / 8));
  if (entry.tombstone()) return key + filter;
  return key + filter + (entry.in_blob_file() ? kBlobReference : entry.value());
}

Bytes LsmFormat::wal_record(const LsmOptions& options, Bytes value) {
  const Bytes payload = kWriteBatch + options.key + value;
  return payload + kWalRecordHeader * groups_of(payload.count(), kWalBlock);
}

}  // namespace kvsim
