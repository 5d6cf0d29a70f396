// The engine's writes: one after another through the log and the memtable.
#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/store/rocksdb_engine.hpp"

namespace kvsim {

namespace {
// max_write_batch_group_size_bytes of RocksDB; two writers of more than half of it cannot share.
constexpr Bytes kHalfGroup{512 * 1024};
// A value's size is 32 bits in RocksDB.
constexpr Bytes kLargest{(1LL << 32) - 1};
}  // namespace

Task RocksdbEngine::write(Write& write) {
  settle();
  Hold log = co_await log_.acquire();
  if (lost(write)) co_return;
  if (!write.erase) evict(write.value);
  co_await wait_for_room(write);
  if (lost(write) || (!write.erase && !fits(write.value))) co_return;
  entering_ += write.value;
  co_await append_log(write);
  Hold memtable;
  if (options_.lsm.enable_pipelined_write) {
    if (write.value > kHalfGroup) memtable = co_await memtable_.acquire();
    log.give_back();
  }
  co_await touch(write.value);
  co_await copy(write.value, 1);
  entering_ -= write.value;
  if (lost(write)) co_return;
  insert(write);
  write.done = true;
}

bool RocksdbEngine::fits(Bytes value) const {
  if (full_ || value > kLargest) return false;
  if (options_.max_db == Bytes(0)) return true;
  return files_ + tree_.memtables().memory() + entering_ + value <= options_.max_db;
}

// As RocksDB's DelayWrite: the leader waits, all others behind it.
Task RocksdbEngine::wait_for_room(Write& write) {
  using State = WriteCondition::State;
  if (tree_.begin_write()) tree_changed();
  if (controller_.condition().state == State::kNormal) co_return;
  const Seconds began = tasks_.now();
  const Seconds until = began + controller_.delay(write.value, began);
  while (controller_.condition().state == State::kDelayed && tasks_.now() < until) {
    const std::shared_ptr<Signal> changed = changed_;
    co_await changed->wait(until - tasks_.now());
  }
  while (controller_.condition().state == State::kStopped && !full_ && !lost(write)) {
    const std::shared_ptr<Signal> changed = changed_;
    co_await changed->wait();
  }
  write.disk += tasks_.now() - began;
}

Task RocksdbEngine::append_log(Write& write) {
  if (options_.put > Seconds(0)) co_await work(options_.put);
  if (!options_.lsm.wal) co_return;
  co_await log_pages_.room(write.disk);
  co_await copy(write.value, options_.log_copies);
  co_await work(write.value / options_.crc32c_or_default());
  if (!free_disk_) log_pages_.add(write.value);
}

void RocksdbEngine::insert(const Write& write) {
  if (const auto old = tree_.find(write.key).found) {
    live_ -= old->value;
    --entries_;
  }
  const int before = tree_.memtables().immutable();
  if (write.erase) {
    tree_.erase(write.key);
    (void)order_.erase(write.key);
  } else {
    tree_.put(write.key, write.value);
    live_ += write.value;
    ++entries_;
    if (options_.eviction != "none") order_.insert({write.key, 0, write.value});
  }
  if (start_jobs() || tree_.memtables().immutable() != before) tree_changed();
}

// As if somebody deleted the oldest keys to make room: no part of Kvrocks.
void RocksdbEngine::evict(Bytes value) {
  if (options_.eviction == "none") return;
  const Bytes room(static_cast<std::int64_t>(options_.max_db.real() * options_.eviction_fill));
  while (live_ + value > room) {
    const auto oldest = order_.oldest();
    if (!oldest || value > room) return;
    evicted_ += oldest->bytes;
    if (evicts_) evicts_(oldest->key);
    insert({.key = oldest->key, .erase = true});
  }
}

}  // namespace kvsim
