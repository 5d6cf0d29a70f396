// The log-structured merge tree of RocksDB as a state machine.
//
// Writes go into memtables; full ones are flushed into table files of level 0; compactions merge
// files downwards level by level. Whoever drives it decides what time that takes: the tree says
// which background job may start now and what it reads and writes, and changes when told that the
// job has finished. Entries are real, so overwrites, tombstones and garbage in blob files count as
// they do in RocksDB. No clock, no I/O; the same calls give the same tree.
//
// A driver's loop:
//   before a write: begin_write(), condition(), wait as long as that says; then put() or erase();
//   after each write and each finish(): start every job that take_job() yields;
//   when a job's reads and writes are done: finish(job.id).
//
// Source: RocksDB 9 (levelled compaction), with Kvrocks's options; see the files of each part.
// tests/oracle/rocksdb_test.cpp compares it with a real RocksDB.
// Leaves out: column families but one, snapshots, iterators, TTL and periodic compaction, universal
// and FIFO compaction, manual compaction, recovery.
#pragma once

#include <map>
#include <optional>

#include "sim/store/lsm_memtables.hpp"
#include "sim/store/lsm_merge.hpp"
#include "sim/store/lsm_picker.hpp"
#include "sim/store/write_controller.hpp"

namespace kvsim {

// Background work. Bytes are on disk; those of blob files are not part of `read` and `written`.
struct LsmJob {
  enum class Kind { kFlush, kCompaction };
  struct File {
    FileId id = 0;
    Bytes bytes{0};
  };

  std::uint64_t id = 0;
  Kind kind = Kind::kFlush;
  int from_level = 0;  // of a flush both are 0
  int to_level = 0;
  Bytes read{0};
  Bytes written{0};
  Bytes blob_read{0};
  Bytes blob_written{0};
  int parallel = 1;           // threads among which the job is divided
  bool trivial_move = false;  // nothing is read or written
  std::vector<File> inputs;   // table files
  std::vector<File> outputs;  // table files; live from finish() on
  std::vector<File> blobs;    // blob files written; live from finish() on

  [[nodiscard]] Bytes all_read() const { return read + blob_read; }
  [[nodiscard]] Bytes all_written() const { return written + blob_written; }
};

// Since the tree was made. Jobs count when they finish.
struct LsmTotals {
  Bytes user{0};  // keys and values put
  Bytes wal{0};
  Bytes flushed{0};             // into table files
  Bytes compaction_read{0};     // from table files
  Bytes compaction_written{0};  // into table files
  Bytes blob_flushed{0};
  Bytes blob_collected_read{0};
  Bytes blob_collected_written{0};
  std::int64_t flushes = 0;
  std::int64_t compactions = 0;  // those that read and wrote
  std::int64_t trivial_moves = 0;

  [[nodiscard]] Bytes written() const {
    return wal + flushed + blob_flushed + compaction_written + blob_collected_written;
  }
};

class LsmTree {
 public:
  // Where the newest version of a key lies.
  struct Found {
    enum class Place { kMemtable, kTable, kBlob };
    Place place = Place::kMemtable;
    Bytes value{0};
    int level = -1;    // of the table file; -1 in a memtable
    FileId table = 0;  // that holds the entry
    FileId blob = 0;   // that holds the value, if one does
  };
  struct Lookup {
    std::optional<Found> found;  // nothing: never put, or erased
    int filters = 0;             // bloom filters asked, the one of the file that has it included
  };
  struct Preload {
    LsmKey key = 0;
    Bytes value{0};
  };

  explicit LsmTree(const LsmOptions& options);
  LsmTree(const LsmTree&) = delete;  // its parts refer to one another
  LsmTree& operator=(const LsmTree&) = delete;

  // Switches memtables if the next write needs it; true if it did. Writes do this themselves.
  bool begin_write();
  void put(LsmKey key, Bytes value);
  void erase(LsmKey key);

  // The next job that may start now, flushes first; to be called until it yields none.
  [[nodiscard]] std::optional<LsmJob> take_job();
  // The job's work is done: its outputs replace its inputs. Flushes wait for older flushes.
  void finish(std::uint64_t job);
  [[nodiscard]] bool busy() const { return !running_.empty(); }

  [[nodiscard]] WriteCondition condition() const;
  // Makes RocksDB run as many compactions as it may, instead of one.
  [[nodiscard]] bool compacts_in_parallel() const;

  [[nodiscard]] Lookup find(LsmKey key) const;
  [[nodiscard]] bool contains(LsmKey key) const { return find(key).found.has_value(); }

  [[nodiscard]] const LsmLevels& levels() const { return levels_; }
  [[nodiscard]] const Memtables& memtables() const { return memtables_; }
  [[nodiscard]] const std::map<FileId, BlobFile>& blob_files() const { return blob_files_; }
  [[nodiscard]] Bytes table_bytes() const;
  [[nodiscard]] Bytes blob_bytes() const { return blob_bytes_; }
  // All of the disk: tables, blobs, live and archived logs.
  [[nodiscard]] Bytes disk_bytes() const;
  // Values and keys that a reader can still see; O(entries).
  [[nodiscard]] Bytes live_bytes() const;
  [[nodiscard]] Bytes pending_compaction() const { return levels_.pending_compaction(); }
  [[nodiscard]] const LsmTotals& totals() const { return totals_; }
  // Bytes written to disk for each byte put; 0 before the first.
  [[nodiscard]] double write_amplification() const;

  // Drops archived logs that are too old or too many; RocksDB looks every 10 minutes.
  void purge_archived_wal(Seconds now) { memtables_.purge_archive(now); }
  // Table and blob files that have died since the last call, in the order in which they did.
  std::vector<FileId> take_deleted_files();

  // Fills an empty tree as if the entries, oldest first, had been put long ago and all compactions
  // were done: the deepest levels hold the oldest. Keys must differ. Counts as no traffic.
  void preload(const std::vector<Preload>& entries);

 private:
  struct Running {
    LsmJob job;
    SstFiles outputs;
    std::map<FileId, BlobFile> blobs;
    std::vector<LsmEntry> released;       // entries whose blobs become garbage
    LsmCompaction* compaction = nullptr;  // in picker_.running; none for a flush
    bool finished = false;                // a flush that waits for an older one
  };

  void write(const LsmEntry& entry, Bytes user);
  [[nodiscard]] std::optional<LsmJob> take_flush();
  [[nodiscard]] std::optional<LsmJob> take_compaction();
  void plan_outputs(Running& running);
  [[nodiscard]] static LsmRun merged_inputs(Running& running);
  void drop_tombstones(LsmRun& run, int level) const;
  void move_to_blobs(LsmRun& run, Running& running);
  void collect_garbage(LsmRun& run, Running& running);
  [[nodiscard]] std::size_t old_blob_files() const;
  [[nodiscard]] bool oldest_batch_is_garbage() const;
  [[nodiscard]] std::optional<LsmCompaction> forced_collection() const;
  void append_blob(LsmEntry& entry, Running& running);
  void add_outputs(Running& running, SstFiles files);
  LsmJob start(Running running);
  void install_flushes();
  void install_compaction(Running& running);
  void adopt_blobs(Running& running);
  void count(const LsmJob& job);
  void preload_level(int level, std::vector<LsmEntry> run);
  [[nodiscard]] int running_of(LsmJob::Kind kind) const;

  LsmOptions options_;
  Memtables memtables_;
  LsmLevels levels_;
  LsmPicker picker_;
  std::map<FileId, BlobFile> blob_files_;  // oldest first
  Bytes blob_bytes_{0};                    // of all of them
  std::map<std::uint64_t, Running> running_;
  std::vector<FileId> deleted_;
  LsmTotals totals_;
  std::uint64_t last_job_ = 0;
  FileId last_file_ = 0;
  bool nothing_to_compact_ = false;  // until something changes
};

}  // namespace kvsim
