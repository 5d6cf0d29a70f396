#include "sim/store/lsm_memtables.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// An arena starts with 2 KiB of its own; requests above a quarter of a block get one of their own
// size. Options left at zero: an eighth of the memtable, at most 1 MiB.
constexpr Bytes kArenaInline{2048};
constexpr Bytes kArenaBlockMax{kMebibyte};
constexpr Bytes kArenaBlockMin{4096};

Bytes arena_block(const LsmOptions& options) {
  return std::clamp(options.write_buffer / 8, kArenaBlockMin, kArenaBlockMax);
}

}  // namespace

Memtable::Memtable(const LsmOptions& options)
    : limit_(options.write_buffer),
      arena_block_(arena_block(options)),
      allocated_(kArenaInline + Bytes(static_cast<std::int64_t>(options.write_buffer.real() *
                                                                options.memtable_bloom_ratio))) {}

void Memtable::add(const LsmEntry& entry, Bytes memory, Bytes wal) {
  if (memory <= unused_) {
    unused_ -= memory;
  } else if (memory > arena_block_ / 4) {
    allocated_ += memory;
  } else {
    allocated_ += arena_block_;
    unused_ = arena_block_ - memory;
  }
  wal_ += wal;
  entries_[entry.key] = entry;
}

const LsmEntry* Memtable::find(LsmKey key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

bool Memtable::full() const {
  const Bytes slack = arena_block_ * 3 / 5;  // kAllowOverAllocationRatio
  if (allocated_ + arena_block_ < limit_ + slack) return false;
  if (allocated_ > limit_ + slack) return true;
  return unused_ < arena_block_ / 4;
}

Memtables::Memtables(const LsmOptions& options) : options_(options), active_(options) {}

bool Memtables::wal_too_long() const {
  // Asked for once: RocksDB waits for the flush of the oldest log before it asks again.
  return options_.wal && !flush_requested_ && immutable_.empty() &&
         live_wal() > options_.max_total_wal_or_default();
}

bool Memtables::switch_due() const {
  return !active_.empty() && (active_.full() || wal_too_long());
}

void Memtables::switch_active() {
  if (wal_too_long()) flush_requested_ = true;
  immutable_memory_ += active_.memory();
  immutable_wal_ += active_.wal();
  immutable_.push_back(std::move(active_));
  ++waiting_;
  active_ = Memtable(options_);
}

void Memtables::add(const LsmEntry& entry) {
  const Bytes wal = options_.wal ? LsmFormat::wal_record(options_, entry.value()) : Bytes(0);
  active_.add(entry, LsmFormat::memtable_entry(options_, entry.value()), wal);
}

const LsmEntry* Memtables::find(LsmKey key) const {
  if (const LsmEntry* found = active_.find(key)) return found;
  for (auto table = immutable_.rbegin(); table != immutable_.rend(); ++table) {
    if (const LsmEntry* found = table->find(key)) return found;
  }
  return nullptr;
}

std::vector<LsmKey> Memtables::keys() const {
  std::vector<LsmKey> keys;
  for (const auto& [key, entry] : active_.entries()) keys.push_back(key);
  for (const Memtable& table : immutable_) {
    for (const auto& [key, entry] : table.entries()) keys.push_back(key);
  }
  return keys;
}

bool Memtables::flush_due() const {
  return waiting_ >= options_.min_write_buffer_number_to_merge ||
         (flush_requested_ && waiting_ > 0);
}

std::vector<LsmEntry> Memtables::start_flush(std::uint64_t flush) {
  std::map<LsmKey, LsmEntry> merged;
  for (Memtable& table : immutable_) {
    if (table.state_ != Memtable::State::kWaiting) continue;
    table.state_ = Memtable::State::kFlushing;
    table.flush_ = flush;
    for (const auto& [key, entry] : table.entries()) merged[key] = entry;
  }
  waiting_ = 0;
  flush_requested_ = false;
  std::vector<LsmEntry> entries;
  entries.reserve(merged.size());
  for (const auto& [key, entry] : merged) entries.push_back(entry);
  return entries;
}

void Memtables::flushed(std::uint64_t flush) {
  for (Memtable& table : immutable_) {
    if (table.flush_ == flush) table.state_ = Memtable::State::kFlushed;
  }
}

std::uint64_t Memtables::installable() const {
  if (immutable_.empty()) return 0;
  const Memtable& oldest = immutable_.front();
  return oldest.state_ == Memtable::State::kFlushed ? oldest.flush_ : 0;
}

void Memtables::install(std::uint64_t flush) {
  KV_CHECK(flush != 0 && installable() == flush, "flush {}", flush);
  while (!immutable_.empty() && immutable_.front().flush_ == flush) {
    immutable_memory_ -= immutable_.front().memory();
    immutable_wal_ -= immutable_.front().wal();
    retire_log(immutable_.front().wal());
    immutable_.pop_front();
  }
}

void Memtables::retire_log(Bytes bytes) {
  if (options_.wal_ttl <= Seconds(0) && options_.wal_size_limit <= Bytes(0)) return;
  archive_.push_back({bytes});
  archived_wal_ += bytes;
}

void Memtables::purge_archive(Seconds now) {
  for (OldLog& log : archive_) {
    if (log.since < Seconds(0)) log.since = now;
  }
  const auto expired = [&](const OldLog& log) {
    const bool old = options_.wal_ttl > Seconds(0) && now - log.since > options_.wal_ttl;
    const bool many = options_.wal_size_limit > Bytes(0) && archived_wal_ > options_.wal_size_limit;
    return old || many;
  };
  while (!archive_.empty() && expired(archive_.front())) {
    archived_wal_ -= archive_.front().bytes;
    archive_.pop_front();
  }
}

}  // namespace kvsim
