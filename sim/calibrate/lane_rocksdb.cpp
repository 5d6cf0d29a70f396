// RocksDB by RocksdbEngine, each operation in the state that the bench prepares.
//
// Left out, as the bench keeps it out: flushes, compactions and the write-back of the log. Reads
// that bloom filters let through by chance are left out too (one in a hundred lookups).
#include "sim/calibrate/lane_rocksdb.hpp"

#include <limits>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/twin_callers.hpp"
#include "sim/store/rocksdb_engine.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
// More than any operation needs, and far from overflow.
constexpr Bytes kPlenty{std::numeric_limits<std::int64_t>::max() / 1024};

Json options_in(const Figures& figures, const std::string& key, const Json& otherwise) {
  return figures.contains(key) ? figures.at(key) : otherwise;
}

RocksdbOptions options_for(const BenchOperation& operation, const Figures& figures,
                           const RocksdbBenchOptions& bench) {
  RocksdbOptions out = rocksdb_options(figures);
  const bool disk = operation.name == "get/disk";
  out.lsm.write_buffer = kPlenty;
  out.lsm.wal = bench.wal;
  out.lsm.enable_pipelined_write = bench.enable_pipelined_write;
  out.lsm.enable_blob_files = bench.enable_blob_files;
  out.lsm.compression = bench.compression;
  out.lsm.compression_start_level = 0;
  out.lsm.block = bench.block;
  constexpr double kNoneByChance = 100;
  out.lsm.bloom_bits_per_key = kNoneByChance;
  out.block_cache = operation.name == "get/block-cache" ? kPlenty : Bytes(0);
  out.block_cache_shards = 1;
  out.row_cache = Bytes(0);
  out.page_cache = disk ? Bytes(0) : kPlenty;
  out.max_db = Bytes(0);
  out.eviction = "none";
  out.fresh_from = kPlenty;  // the bench's allocator keeps its memory
  out.start = {.caches = disk ? "cold" : "warm"};
  if (bench.direct_reads) {
    out.buffered_read = 1;
    out.page_cache_copies = 0;
    out.small_copies = 0;
  }
  return out;
}

// One measurement of the bench.
class Twin {
 public:
  Twin(Tasks& tasks, const BenchOperation& operation, const Figures& figures,
       const RocksdbBenchOptions& bench)
      : operation_(operation),
        host_(
            tasks, "twin",
            read_config<CpuOptions>(ConfigNode(options_in(figures, "cpu", Json::object()), "cpu")),
            Bytes(0)),
        options_(options_for(operation, figures, bench)) {
    small_string_ = figures.value(Json::json_pointer(kSmallStringCopies), 1.0);
    const Json disk = options_in(figures, "disk", "nvme");
    host_.add_disk(options_.disk,
                   Registry<Disk>::instance().make(
                       ConfigNode(disk, "disk"),
                       {.tasks = tasks, .name = "disk", .memory = host_.cpu().copy}));
    engine_ = std::make_unique<RocksdbEngine>(
        options_,
        Store::Context{.tasks = tasks,
                       .host = host_,
                       .name = "twin",
                       // The log of a round is gone before the kernel writes it.
                       .free_disk = operation.name != "get/disk"},
        [] { return std::int64_t{0}; });
    keys_ =
        std::min(rocksdb_bench::keys_of(operation, bench.working_set), 4 * operation.at_once + 4);
    if (operation.name == "put" || operation.name == "get/memtable") return;
    for (std::int64_t key = 0; key < keys_; ++key)
      KV_CHECK(engine_->preload(key_of(key), rocksdb_bench::value_of(operation)));
  }

  // What preloading does not.
  Task prepare() {
    if (operation_.name != "get/memtable") co_return;
    for (std::int64_t key = 0; key < keys_; ++key) co_await put(key);
  }
  Task once() {
    if (operation_.name == "put") {
      co_await put(next_++);
    } else if (operation_.name == "get/missing") {
      co_await get(keys_ + next_++);
    } else {
      const bool many = operation_.name == "multiget/page-cache";
      const std::int64_t count = many ? rocksdb_bench::kMultiget : 1;
      for (std::int64_t i = 0; i < count; ++i) co_await get(next_++ % keys_);
    }
  }

 private:
  static StoreKey key_of(std::int64_t number) { return mix64(static_cast<StoreKey>(number) + 1); }

  // The batch, and its write.
  Task put(std::int64_t number) {
    co_await host_.copy(operation_.bytes, 1);
    RocksdbEngine::Write write{.key = key_of(number), .value = operation_.bytes};
    co_await engine_->write(write);
    KV_CHECK(write.done);
  }
  // What is found is copied into a string.
  Task get(std::int64_t number) {
    RocksdbEngine::Read read{.key = key_of(number)};
    co_await engine_->read(read);
    if (!read.found) co_return;
    co_await host_.copy(read.value, read.value <= options_.small_value ? small_string_ : 1);
  }

  BenchOperation operation_;
  Host host_;
  RocksdbOptions options_;
  double small_string_ = 1;  // copies' worth of time
  std::unique_ptr<RocksdbEngine> engine_;
  std::int64_t keys_ = 0;
  std::int64_t next_ = 0;
};

class RocksdbModel final : public LaneModel {
 public:
  using Options = RocksdbBenchOptions;
  RocksdbModel(const Options& options, const Context&) : options_(options) {}

  std::vector<BenchOperation> plan(bool full) const override {
    return full ? full_plan() : quick_plan();
  }
  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override {
    return fit_rocksdb(samples, options_, *this, figures);
  }
  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    return run_rocksdb_twin(tasks, operation, figures, options_, mean);
  }

 private:
  static std::vector<BenchOperation> quick_plan() {
    return {{"put", Bytes(kKiB), 1},
            {"put", Bytes(kMiB), 1},
            {"put", Bytes(16 * kMiB), 1},
            {"put", Bytes(4 * kMiB), 4},
            {"get/memtable", Bytes(4 * kMiB), 1},
            {"get/page-cache", Bytes(kKiB), 1},
            {"get/page-cache", Bytes(kMiB), 1},
            {"get/page-cache", Bytes(3 * kMiB), 1},
            {"get/page-cache", Bytes(16 * kMiB), 1},
            {"get/page-cache", Bytes(32 * kMiB), 1},
            {"get/page-cache", Bytes(4 * kMiB), 4},
            {"get/block-cache", Bytes(kKiB), 1},
            {"get/block-cache", Bytes(4 * kMiB), 1},
            {"get/disk", Bytes(4 * kMiB), 1},
            {"get/missing", Bytes(kMiB), 1}};
  }
  static std::vector<BenchOperation> full_plan() {
    std::vector<BenchOperation> out;
    for (const char* name : {"put", "get/memtable", "get/page-cache", "get/block-cache"})
      for (const std::int64_t bytes : {kKiB, 64 * kKiB, kMiB, 4 * kMiB, 16 * kMiB, 64 * kMiB})
        for (const std::int64_t at_once : {1, 4, 16})
          if (bytes * at_once <= 256 * kMiB) out.push_back({name, Bytes(bytes), at_once});
    for (const std::int64_t bytes : {256 * kKiB, 4 * kMiB, 32 * kMiB})
      for (const std::int64_t at_once : {1, 4, 16})
        out.push_back({"get/disk", Bytes(bytes), at_once});
    out.push_back({"put", Bytes(128 * kMiB), 1});
    out.push_back({"get/page-cache", Bytes(128 * kMiB), 1});
    out.push_back({"multiget/page-cache", Bytes(32 * kMiB), 1});
    for (const std::int64_t at_once : {1, 16}) out.push_back({"get/missing", Bytes(kMiB), at_once});
    return out;
  }

  Options options_;
};

}  // namespace

RocksdbOptions rocksdb_options(const Figures& figures) {
  const Json all = figures_at(figures_at(figures, "stores"), "kvrocks");
  // A Kvrocks store has options that are not RocksDB's.
  const Json known = schema_config<RocksdbOptions>().at("properties");
  Json mine = {{"disk", "disk"}};
  for (const auto& [key, value] : all.items())
    if (known.contains(key) && key != "disk") mine[key] = value;
  return read_config<RocksdbOptions>(ConfigNode(mine, "figures", "/stores/kvrocks"));
}

Task run_rocksdb_twin(Tasks& tasks, BenchOperation operation, Figures figures,
                      RocksdbBenchOptions options, Seconds& mean) {
  Twin twin(tasks, operation, figures, options);
  co_await twin.prepare();
  const std::function<Task(std::int64_t)> once = [&](std::int64_t) { return twin.once(); };
  // Enough that who began first of all does not matter.
  constexpr std::int64_t kEach = 12;
  co_await run_callers(tasks, operation.at_once, kEach, once, mean);
}

namespace {
const Register<LaneModel, RocksdbModel> kRegistered("rocksdb", "RocksDB by its engine's model.");
}

}  // namespace kvsim
