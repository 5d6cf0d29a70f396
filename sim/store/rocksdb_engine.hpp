// RocksDB in simulated time: an LsmTree whose work is done by threads on a host and by a disk.
//
// A write goes through two stages in turn, the log and the memtable. A batch of more than half a
// write group (1 MiB) shares its group with nobody, so large writes pass one after another, however
// many threads there are; with enable_pipelined_write the log stage of one overlaps the memtable
// stage of the one before. Flushes and compactions run beside, limited by max_background_*, on the
// same cores and the same disk. A read looks into memtables, row cache, block cache, page cache,
// and then reads the whole value from the disk.
// Source: spec/kvrocks_rocksdb.md sections 3 to 7.
// Leaves out: entries of dead files are never found again in the block and row caches, and leave
// them by age, as in RocksDB; index and filter partitions are taken as cached; fsync; errors of the
// disk; background work goes on when the disk is full (writes are refused then).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/byte_cache.hpp"
#include "sim/store/host.hpp"
#include "sim/store/lsm_tree.hpp"
#include "sim/store/page_cache.hpp"
#include "sim/store/rocksdb_options.hpp"
#include "sim/store/store.hpp"
#include "sim/store/write_back.hpp"

namespace kvsim {

class RocksdbEngine {
 public:
  struct Read {
    StoreKey key = 0;
    bool found = false;
    Bytes value{0};
    Seconds disk{0};  // spent reading
    // Where it was found, as the bench calls it.
    const char* from = "get/missing";
  };
  struct Write {
    StoreKey key = 0;
    Bytes value{0};
    bool erase = false;
    std::int64_t life = 0;  // of the process that serves it
    bool done = false;      // false: refused, or lost
    Seconds disk{0};        // spent waiting for flushes, compactions and the disk
  };
  // `life`: which process lives; a write of another one changes nothing.
  RocksdbEngine(const RocksdbOptions& options, const Store::Context& context,
                std::function<std::int64_t()> life);

  // Called for each key that goes to make room.
  void set_evicts(std::function<void(StoreKey)> evicts) { evicts_ = std::move(evicts); }
  // Memory for a value: what it costs to touch it, if it was the kernel's before.
  [[nodiscard]] Task touch(Bytes bytes);
  // The caller holds a thread of its own meanwhile. What they refer to outlives them.
  [[nodiscard]] Task read(Read& read);
  [[nodiscard]] Task write(Write& write);

  [[nodiscard]] bool contains(StoreKey key) const;
  bool preload(StoreKey key, Bytes value);
  // Block and row cache are gone; memtables come back from the log, the page cache is the kernel's.
  void restart_cold();

  [[nodiscard]] Bytes dram() const;
  [[nodiscard]] Bytes live() const { return live_; }
  [[nodiscard]] Bytes evicted() const { return evicted_; }
  [[nodiscard]] const LsmTree& tree() const { return tree_; }
  // Seconds of server and disk for a read, with the share of values in caches as it is now.
  [[nodiscard]] Seconds estimate_read(Bytes value) const;
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  // Reading.
  [[nodiscard]] Task read_foreign_blocks(Read& read, int filters);
  [[nodiscard]] Task read_file(Read& read, const LsmTree::Found& found);
  [[nodiscard]] Task read_disk(StoreKey key, Bytes bytes, Seconds& spent);
  void cache(const LsmTree::Found& found, StoreKey key);
  [[nodiscard]] ByteCache& block_shard(std::uint64_t id);
  [[nodiscard]] static std::uint64_t cache_id(FileId table, StoreKey key);

  // Writing.
  [[nodiscard]] Task wait_for_room(Write& write);
  [[nodiscard]] Task append_log(Write& write);
  void insert(const Write& write);
  [[nodiscard]] bool fits(Bytes value) const;
  [[nodiscard]] bool lost(const Write& write) const { return write.life != life_(); }
  void evict(Bytes value);

  // Background.
  void tree_changed();
  bool start_jobs();  // true when some ended at once
  [[nodiscard]] Task run_job(LsmJob job);
  struct Stream;
  [[nodiscard]] Task run_stream(Stream& stream);
  [[nodiscard]] Task write_piece(Bytes bytes, std::shared_ptr<Signal> done);
  void finish_job(const LsmJob& job);
  void match_space();

  // Before time starts.
  void settle();
  void settle_caches();

  [[nodiscard]] Task copy(Bytes bytes, double copies);
  [[nodiscard]] Task work(Seconds time);
  // `way`: "encode/" or "decode/".
  [[nodiscard]] Task code(const char* way, Bytes bytes, Bandwidth rate);

  RocksdbOptions options_;
  Tasks& tasks_;
  Host& host_;
  Disk& disk_;
  std::string name_;
  bool deterministic_;
  bool free_server_;
  bool free_disk_;
  std::function<std::int64_t()> life_;
  std::function<void(StoreKey)> evicts_;
  Rng rng_;
  double foreign_ = 0;  // expected foreign blocks not yet read, when deterministic

  LsmTree tree_;
  WriteController controller_;
  std::vector<ByteCache> block_cache_;
  ByteCache row_cache_;
  PageCache page_cache_;
  ByteCache order_;  // of keys, for an eviction policy

  Threads log_;       // leads a write group
  Threads memtable_;  // inserts one
  WriteBack log_pages_;
  std::shared_ptr<Signal> changed_;  // fires when the tree has changed
  std::unique_ptr<SharedServer> limiter_;

  bool settled_ = false;
  std::vector<LsmTree::Preload> preloads_;
  std::unordered_map<StoreKey, Bytes> preloaded_;  // until settled
  Bytes live_{0};
  std::int64_t entries_ = 0;  // live ones
  Bytes evicted_{0};
  Bytes files_{0};     // tables and blobs
  Bytes running_{0};   // outputs of jobs under way
  Bytes entering_{0};  // values on their way into a memtable
  Bytes space_{0};     // taken on the disk
  bool full_ = false;  // the disk
  std::uint64_t position_ = 0;
  Seconds purged_{0};
};

}  // namespace kvsim
