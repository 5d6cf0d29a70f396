// The engine's state, and its reads.
#include "sim/store/rocksdb_engine.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvsim {

namespace {

Disk& disk_of(Host& host, const std::string& name, const std::string& store) {
  Disk* disk = host.disk(name);
  if (disk == nullptr)
    throw ConfigError(fmt::format("store {}: disk: found \"{}\"; allowed: a disk of {}: one of {}",
                                  store, name, host.name(), join_names(host.disk_names())));
  return *disk;
}

// A limiter above what any device writes is none.
constexpr Bandwidth kNoLimit{100e9};

}  // namespace

RocksdbEngine::RocksdbEngine(const RocksdbOptions& options, const Store::Context& context,
                             std::function<std::int64_t()> life)
    : options_(options),
      tasks_(context.tasks),
      host_(context.host),
      disk_(disk_of(context.host, options.disk, context.name)),
      name_(context.name),
      deterministic_(context.deterministic),
      free_server_(context.free_server),
      free_disk_(context.free_disk),
      life_(std::move(life)),
      rng_(stream(context.seed, "store/" + context.name + "/filters")),
      tree_(options.lsm),
      controller_(options.lsm),
      row_cache_(options.row_cache),
      order_(Bytes(INT64_MAX / 2)),
      log_(context.tasks, context.name + ".log", "cpu", 1),
      memtable_(context.tasks, context.name + ".memtable", "cpu", 1),
      log_pages_(context.tasks, disk_, options.background_io),
      changed_(std::make_shared<Signal>(context.tasks)) {
  const Bytes shard = options.block_cache / options.block_cache_shards;
  block_cache_.assign(static_cast<std::size_t>(options.block_cache_shards), ByteCache(shard));
  const Bandwidth limit = options.lsm.rate_limit;
  if (limit > Bandwidth(0) && limit < kNoLimit)
    limiter_ = std::make_unique<SharedServer>(tasks_, name_ + ".limiter", "limit", limit.count());
  const Bytes room = disk_.use().capacity;
  if (options.start.filled > room)
    throw ConfigError(fmt::format(
        "store {}: initial_state/filled_bytes: found {}; allowed: at most what disk {} holds, {}",
        name_, options.start.filled.count(), options.disk, room.count()));
  if (options.eviction != "none" && options.max_db == Bytes(0))
    throw ConfigError(
        fmt::format("store {}: eviction: found \"{}\"; allowed: \"none\", or max_db_bytes above 0",
                    name_, options.eviction));
}

Bytes RocksdbEngine::dram() const {
  return options_.lsm.write_buffer * options_.lsm.max_write_buffer_number + options_.block_cache +
         options_.row_cache;
}

bool RocksdbEngine::contains(StoreKey key) const {
  return settled_ ? tree_.contains(key) : preloaded_.contains(key);
}

void RocksdbEngine::restart_cold() {
  for (ByteCache& shard : block_cache_) shard.clear();
  row_cache_.clear();
}

std::uint64_t RocksdbEngine::cache_id(FileId table, StoreKey key) {
  return mix64(mix64(table + 1) ^ key);
}

ByteCache& RocksdbEngine::block_shard(std::uint64_t id) {
  return block_cache_[id % block_cache_.size()];
}

Task RocksdbEngine::copy(Bytes bytes, double copies) {
  if (!free_server_ && copies > 0) co_await host_.copy(bytes, copies);
}

Task RocksdbEngine::touch(Bytes bytes) {
  if (!free_server_ && bytes >= options_.fresh_from) co_await host_.touch(bytes);
}

Task RocksdbEngine::work(Seconds time) {
  if (!free_server_) co_await host_.compute(time);
}

// LZ4 of blocks is a live operation; of zstd no bench does Kvrocks' level.
Task RocksdbEngine::code(const char* way, Bytes bytes, Bandwidth rate) {
  if (bytes <= Bytes(0)) co_return;
  const bool told = options_.lsm.compression == "lz4" && !free_server_;
  LiveFlight flight(tasks_, host_.live(), LiveLane::kCodec);
  if (!told || !host_.live().drives(LiveLane::kCodec)) co_await work(bytes / rate);
  if (told) co_await flight.end(std::string(way) + "lz4/bf16", bytes);
}

Task RocksdbEngine::read(Read& read) {
  settle();
  co_await work(options_.lookup);
  const LsmTree::Lookup lookup = tree_.find(read.key);
  const int wrong = lookup.filters - (lookup.found && lookup.found->table != 0 ? 1 : 0);
  if (wrong > 0) co_await read_foreign_blocks(read, wrong);
  if (!lookup.found) co_return;
  read.found = true;
  read.value = lookup.found->value;
  read.from = "get/memtable";
  if (options_.eviction == "lru") order_.touch(read.key);
  if (lookup.found->place != LsmTree::Found::Place::kMemtable)
    co_await read_file(read, *lookup.found);
}

// A filter that says yes by chance has the whole block read that would hold the key.
Task RocksdbEngine::read_foreign_blocks(Read& read, int filters) {
  int blocks = 0;
  if (deterministic_) {
    foreign_ += filters * options_.false_positive();
    blocks = static_cast<int>(foreign_);
    foreign_ -= blocks;
  } else {
    for (int i = 0; i < filters; ++i) blocks += rng_.uniform() < options_.false_positive() ? 1 : 0;
  }
  if (blocks == 0) co_return;
  const Bytes block = std::max(options_.lsm.block, live_ / std::max<std::int64_t>(1, entries_));
  for (int i = 0; i < blocks; ++i) {
    co_await read_disk(read.key + static_cast<StoreKey>(i), block, read.disk);
    co_await work(block / options_.checksum);
  }
}

Task RocksdbEngine::read_file(Read& read, const LsmTree::Found& found) {
  const bool blob = found.place == LsmTree::Found::Place::kBlob;
  const std::uint64_t id = cache_id(found.table, read.key);
  read.from = "get/block-cache";
  if (options_.block > Seconds(0)) co_await work(options_.block);
  if (row_cache_.touch(id)) {
    co_await copy(read.value, 1);
    co_return;
  }
  if (!blob && block_shard(id).touch(id)) co_return;
  const double share = blob ? 1 : options_.lsm.stored_share(found.level);
  const Bytes stored(static_cast<std::int64_t>(read.value.real() * share));
  const FileId file = blob ? found.blob : found.table;
  read.from = "get/page-cache";
  if (!page_cache_.touch(file, read.key, stored)) {
    read.from = "get/disk";
    co_await read_disk(read.key, stored, read.disk);
    page_cache_.read(file, read.key, stored);
  }
  co_await touch(stored);
  co_await copy(stored, options_.copies_of_read(read.value));
  Seconds cpu = stored / (blob ? options_.crc32c_or_default() : options_.checksum);
  co_await work(options_.file_read + cpu);
  if (share < 1) co_await code("decode/", read.value, options_.decompress);
  if (share < 1) co_await touch(read.value);
  cache(found, read.key);
  if (options_.row_cache > Bytes(0)) co_await copy(read.value, 1);
}

void RocksdbEngine::cache(const LsmTree::Found& found, StoreKey key) {
  const std::uint64_t id = cache_id(found.table, key);
  if (found.place == LsmTree::Found::Place::kTable)
    block_shard(id).insert({id, found.table, found.value});
  if (options_.row_cache > Bytes(0)) row_cache_.insert({id, found.table, found.value});
}

Task RocksdbEngine::read_disk(StoreKey key, Bytes bytes, Seconds& spent) {
  if (free_disk_) co_return;
  const Seconds began = tasks_.now();
  const Bandwidth most(disk_.rate(false).count() * options_.buffered_read);
  co_await disk_.io({.bytes = bytes, .position = mix64(key) >> 16, .most = most});
  spent += tasks_.now() - began;
}

Seconds RocksdbEngine::estimate_read(Bytes value) const {
  Seconds time{0};
  if (!free_server_)
    time += options_.lookup + host_.copy_time(value, 1) + value / options_.checksum;
  const Bytes caches = options_.block_cache + options_.row_cache + page_cache_.capacity();
  const double cached = live_ > caches ? caches.real() / live_.real() : 1;
  if (!free_disk_)
    time += value / Bandwidth(disk_.rate(false).count() * options_.buffered_read) * (1 - cached);
  return time;
}

std::vector<ResourceUse> RocksdbEngine::resources() const { return {log_.use(), memtable_.use()}; }

}  // namespace kvsim
