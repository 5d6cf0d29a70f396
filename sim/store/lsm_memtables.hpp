// The memtables of an LSM tree and the write-ahead log that backs them.
//
// A memtable is full when the memory it has allocated passes its size, as RocksDB counts it
// (MemTable::ShouldFlushNow): in arena blocks, its bloom filter included. The next write then
// starts a new memtable with a new log. A log lives as long as its memtable is not flushed, and is
// then deleted or archived. Source: db/memtable.cc, memory/arena.cc, db/memtable_list.cc,
// db/db_impl/db_impl_write.cc of RocksDB. Leaves out: other column families' share of the log,
// sharding of the arena.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "sim/store/lsm_file.hpp"

namespace kvsim {

class Memtable {
 public:
  explicit Memtable(const LsmOptions& options);

  void add(const LsmEntry& entry, Bytes memory, Bytes wal);
  [[nodiscard]] const LsmEntry* find(LsmKey key) const;
  [[nodiscard]] bool full() const;
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] Bytes memory() const { return allocated_; }
  [[nodiscard]] Bytes wal() const { return wal_; }
  // The newest entry of each key.
  [[nodiscard]] const std::map<LsmKey, LsmEntry>& entries() const { return entries_; }

 private:
  friend class Memtables;
  enum class State { kWaiting, kFlushing, kFlushed };

  Bytes limit_;
  Bytes arena_block_;
  Bytes allocated_;
  Bytes unused_{0};  // of the newest arena block
  Bytes wal_{0};
  std::map<LsmKey, LsmEntry> entries_;
  State state_ = State::kWaiting;
  std::uint64_t flush_ = 0;
};

class Memtables {
 public:
  explicit Memtables(const LsmOptions& options);

  // Whether the next write must start a new memtable, and doing so.
  [[nodiscard]] bool switch_due() const;
  void switch_active();

  void add(const LsmEntry& entry);
  // The newest entry of a key, or null.
  [[nodiscard]] const LsmEntry* find(LsmKey key) const;

  [[nodiscard]] bool flush_due() const;
  // Marks all waiting memtables as being flushed and returns their entries, newest of each key.
  std::vector<LsmEntry> start_flush(std::uint64_t flush);
  void flushed(std::uint64_t flush);
  // Flushes install their results in the order of the memtables: the next that may, 0 if none.
  [[nodiscard]] std::uint64_t installable() const;
  void install(std::uint64_t flush);

  // Of all memtables, with repetitions.
  [[nodiscard]] std::vector<LsmKey> keys() const;
  [[nodiscard]] int immutable() const { return static_cast<int>(immutable_.size()); }
  [[nodiscard]] Bytes memory() const { return active_.memory() + immutable_memory_; }
  [[nodiscard]] Bytes live_wal() const { return active_.wal() + immutable_wal_; }
  [[nodiscard]] Bytes archived_wal() const { return archived_wal_; }
  // Drops archived logs that are too old or too many. An old log's age counts from the first call
  // after it was archived.
  void purge_archive(Seconds now);

 private:
  struct OldLog {
    Bytes bytes{0};
    Seconds since{-1};  // negative: not seen yet
  };

  [[nodiscard]] bool wal_too_long() const;
  void retire_log(Bytes bytes);

  const LsmOptions& options_;
  Memtable active_;
  std::deque<Memtable> immutable_;  // oldest first
  int waiting_ = 0;
  bool flush_requested_ = false;
  Bytes immutable_memory_{0};
  Bytes immutable_wal_{0};
  Bytes archived_wal_{0};
  std::deque<OldLog> archive_;  // oldest first
};

}  // namespace kvsim
