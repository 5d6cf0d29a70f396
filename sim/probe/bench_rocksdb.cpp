// Puts and gets of a real RocksDB by threads of this process, without a server before it.
//
// A put builds a batch and writes it. Memtables have room for a round of puts, after which the
// database is made anew, unmeasured: no flush or compaction runs beside, and the log of a round is
// removed before the kernel would have to write it. A get goes into a string of its own, as in
// Kvrocks; the values go round, so that none is in the processor's cache. Before a get from the
// disk, its table's pages are dropped (or it is read past the page cache: direct_reads).
//
// The allocator keeps what it has: pages are touched for the first time while the bench prepares,
// as in a server that has run for long. What new pages cost is measured elsewhere (copy/fresh of
// host_copy); it would depend here on what was measured before.
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <rocksdb/iostats_context.h>
#include <rocksdb/perf_context.h>
#include <rocksdb/version.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_rocksdb_database.hpp"
#include "sim/probe/kv_bytes.hpp"

namespace kvsim {

namespace rocksdb_bench {

Bytes value_of(const BenchOperation& operation) {
  if (operation.name.rfind("multiget", 0) != 0) return operation.bytes;
  return std::max(Bytes(1), Bytes(operation.bytes.count() / kMultiget));
}

std::int64_t keys_of(const BenchOperation& operation, Bytes working_set) {
  const Bytes value = value_of(operation);
  const std::int64_t least = operation.name == "get/disk" ? operation.at_once + 2 : 2;
  const std::int64_t fitting = working_set.count() / std::max<std::int64_t>(1, value.count());
  // Every value of get/disk has a table of its own.
  const std::int64_t most = operation.name == "get/disk" ? least : kMostKeys;
  const std::int64_t keys = std::clamp(fitting, least, std::max(least, most));
  return operation.name == "multiget/page-cache" ? groups_of(keys, kMultiget) * kMultiget : keys;
}

}  // namespace rocksdb_bench

namespace {

using rocksdb_bench::value_of;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kOffsets = 251;  // pages: values of neighbouring keys differ

// Where the time of what one caller did since reset went, by RocksDB's own watch; medians over all
// callers. Each has its own: one that waited for another here would leave its core between
// operations, and their times would not show that they share it.
class Stages {
 public:
  // Asking for a thread's core time takes a system call, at the end of which the system likes to
  // run another thread: with several callers none is asked, as they would wait there and not in
  // their operations.
  explicit Stages(bool alone) : alone_(alone) {}
  void reset() {
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kEnableTimeExceptForMutex);
    rocksdb::get_perf_context()->Reset();
    rocksdb::get_iostats_context()->Reset();
    if (alone_) cpu_began_ = cpu_now();
  }
  void add() {
    if (alone_) times_[kCount].push_back(cpu_now() - cpu_began_);
    const rocksdb::PerfContext& seen = *rocksdb::get_perf_context();
    const std::array<std::uint64_t, kCount> times = {
        seen.write_wal_time,
        rocksdb::get_iostats_context()->write_nanos,
        seen.write_memtable_time + seen.get_from_memtable_time,
        seen.block_read_time,
        seen.block_checksum_time,
        seen.block_decompress_time};
    for (std::size_t i = 0; i < kCount; ++i)
      times_[i].push_back(static_cast<double>(times[i]) * 1e-9);
  }
  static void tell(const std::vector<Stages>& callers, Sample& sample) {
    constexpr std::array<const char*, kCount + 1> kNames = {
        "log_s",        "log_write_s",      "memtable_s",
        "block_read_s", "block_checksum_s", "block_decompress_s",
        "cpu_s"};
    for (std::size_t i = 0; i <= kCount; ++i) {
      std::vector<double> all;
      for (const Stages& one : callers)
        all.insert(all.end(), one.times_[i].begin(), one.times_[i].end());
      if (all.empty()) continue;
      const double median = summarise(sample.operation, all).p50.count();
      if (median > 0) sample.extra.emplace_back(kNames[i], median);
    }
  }

 private:
  static constexpr std::size_t kCount = 6;
  static double cpu_now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  bool alone_;
  double cpu_began_ = 0;
  std::array<std::vector<double>, kCount + 1> times_;
};

class RocksdbBench final : public Bench {
 public:
  using Options = RocksdbBenchOptions;
  RocksdbBench(const Options& options, const Context& context)
      : options_(options), folder_(context.scratch.path() + "/rocksdb") {
    // For the whole process. One arena: memory that one thread frees, another one uses again.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    mallopt(M_ARENA_MAX, 1);
  }
  ~RocksdbBench() override {
    database_.reset();
    constexpr int kUsualMaps = 65'536;
    constexpr int kUsualTrim = 128 * 1024;
    mallopt(M_MMAP_MAX, kUsualMaps);
    mallopt(M_TRIM_THRESHOLD, kUsualTrim);
    malloc_trim(0);
  }
  RocksdbBench(const RocksdbBench&) = delete;
  RocksdbBench& operator=(const RocksdbBench&) = delete;

  std::vector<std::string> operations() const override {
    return {"put",      "get/memtable", "get/page-cache",     "get/block-cache",
            "get/disk", "get/missing",  "multiget/page-cache"};
  }
  Json identity() const override;
  Sample measure(const BenchOperation& operation, const Patience& patience) override;
  Bytes needs(const BenchOperation& operation) const override;

 private:
  struct Run;  // one measurement
  [[nodiscard]] std::int64_t keys_of(const BenchOperation& operation) const {
    return rocksdb_bench::keys_of(operation, options_.working_set);
  }
  [[nodiscard]] Bytes round_of(const BenchOperation& operation) const {
    return std::max(options_.round, operation.bytes * (operation.at_once * 2));
  }
  void make_values(Bytes bytes);
  void grow_heap(Bytes bytes);
  [[nodiscard]] std::string_view value(std::int64_t key, Bytes bytes) const;
  void check_value(std::int64_t key, const std::string& value, Bytes bytes, bool whole) const;
  void open(Bytes write_buffer, Bytes block_cache);
  void prepare_gets(const BenchOperation& operation);
  void check_puts(const Run& run);
  Seconds put(Run& run, std::int64_t caller);
  Seconds get(Run& run, std::int64_t caller);
  Seconds multiget(Run& run, std::int64_t caller);
  Seconds get_missing(Run& run);

  Options options_;
  std::string folder_;
  std::optional<RocksdbDatabase> database_;
  Bytes heap_{0};
  std::vector<std::byte> values_;  // where values are cut out of
  double ratio_ = 0;               // of tables, when there are any
};

struct RocksdbBench::Run {
  const BenchOperation& operation;
  std::vector<Stages> stages;         // of each caller
  std::atomic<std::int64_t> next{0};  // key
  // Of puts: the database is made anew by who finds no room, alone.
  std::shared_mutex gate;
  std::atomic<std::int64_t> room{0};
  std::vector<char> checked;  // callers that compared a whole value
};

Json RocksdbBench::identity() const {
  Json out = echo_config(options_);
  out["rocksdb"] = rocksdb::GetRocksVersionAsString();
  out["allocator"] = fmt::format("glibc {}, memory is kept", gnu_get_libc_version());
  return out;
}

Bytes RocksdbBench::needs(const BenchOperation& operation) const {
  if (operation.name == "put") return round_of(operation) + operation.bytes * operation.at_once;
  const Bytes values = value_of(operation) * keys_of(operation);
  // Tables are written anew when they move to their level.
  return values * (options_.compression == "none" ? 1 : 2) + Bytes(kPage) * keys_of(operation);
}

void RocksdbBench::make_values(Bytes bytes) {
  const auto wanted = static_cast<std::size_t>(bytes.count()) + kPage * kOffsets;
  if (values_.size() == wanted) return;
  values_.assign(wanted, std::byte{0});
  fill_kv_bytes(values_, "bf16", 1);
}

void RocksdbBench::grow_heap(Bytes bytes) {
  if (bytes <= heap_) return;
  heap_ = bytes;
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::vector<std::unique_ptr<char[]>> pieces;
  for (std::int64_t grown = 0; grown < bytes.count(); grown += kPiece)
    pieces.push_back(std::make_unique<char[]>(kPiece));  // zeroed, hence touched
}

std::string_view RocksdbBench::value(std::int64_t key, Bytes bytes) const {
  const std::size_t offset = static_cast<std::size_t>(key) % kOffsets * kPage;
  return {reinterpret_cast<const char*>(values_.data()) + offset,
          static_cast<std::size_t>(bytes.count())};
}

void RocksdbBench::check_value(std::int64_t key, const std::string& value, Bytes bytes,
                               bool whole) const {
  const std::string_view wanted = this->value(key, bytes);
  const std::size_t part = whole ? wanted.size() : std::min(wanted.size(), std::size_t{64});
  const bool same =
      value.size() == wanted.size() && std::memcmp(value.data(), wanted.data(), part) == 0 &&
      std::memcmp(value.data() + value.size() - part, wanted.data() + wanted.size() - part, part) ==
          0;
  if (!same)
    throw EnvironmentError(fmt::format("RocksDB in {}: a value of {} bytes came back changed",
                                       folder_, bytes.count()));
}

void RocksdbBench::open(Bytes write_buffer, Bytes block_cache) {
  database_.reset();
  database_.emplace(
      folder_, options_,
      RocksdbDatabase::Shape{.write_buffer = write_buffer, .block_cache = block_cache});
}

// Room for more than what is put: RocksDB switches a memtable before it is full.
constexpr double kSpare = 1.3;

void RocksdbBench::prepare_gets(const BenchOperation& operation) {
  const Bytes value = value_of(operation);
  const std::int64_t keys = keys_of(operation);
  const bool disk = operation.name == "get/disk";
  const Bytes all = Bytes(static_cast<std::int64_t>((value * keys).real() * kSpare)) +
                    Bytes(std::int64_t{64} << 20);
  open(all, operation.name == "get/block-cache" ? all : Bytes(0));
  for (std::int64_t key = 0; key < keys; ++key) {
    database_->put(key * 2, this->value(key * 2, value), false);
    if (disk) database_->flush();
  }
  if (operation.name == "get/memtable") return;
  if (!disk) database_->flush();
  if (options_.compression != "none" && !disk) database_->settle_in_levels();
  ratio_ = database_->ratio(value * keys);
  for (std::int64_t key = 0; key < keys; ++key) {
    std::string found;
    if (!database_->get(key * 2, found, true)) throw EnvironmentError("RocksDB lost a value");
  }
}

Seconds RocksdbBench::put(Run& run, std::int64_t caller) {
  const Bytes bytes = run.operation.bytes;
  std::shared_lock shared(run.gate);
  while (run.room.fetch_sub(bytes.count()) < bytes.count()) {
    shared.unlock();
    {
      const std::unique_lock alone(run.gate);
      if (run.room < bytes.count()) {
        const Bytes round = round_of(run.operation);
        open(Bytes(static_cast<std::int64_t>(round.real() * kSpare)), Bytes(0));
        run.room = round.count();
      }
    }
    shared.lock();
  }
  const std::int64_t key = run.next++;
  const std::string_view value = this->value(key, bytes);
  Stages& stages = run.stages[static_cast<std::size_t>(caller)];
  stages.reset();
  const Stopwatch watch;
  database_->put(key, value, true);
  const Seconds time = watch.elapsed();
  stages.add();
  return time;
}

// The youngest ones: those of older rounds are gone.
void RocksdbBench::check_puts(const Run& run) {
  std::string found;
  std::int64_t there = 0;
  for (std::int64_t back = 0; back < 4; ++back) {
    const std::int64_t last = run.next - 1 - back;
    if (last < 0 || !database_->get(last, found, false)) continue;
    check_value(last, found, run.operation.bytes, true);
    ++there;
  }
  if (there == 0) throw EnvironmentError("RocksDB lost the values that it was given");
}

Seconds RocksdbBench::get(Run& run, std::int64_t caller) {
  const std::int64_t index = run.next++ % keys_of(run.operation);
  if (run.operation.name == "get/disk" && !options_.direct_reads)
    database_->drop_pages(static_cast<std::size_t>(index));
  const bool fill = run.operation.name == "get/block-cache";
  char& checked = run.checked[static_cast<std::size_t>(caller)];
  Stages& stages = run.stages[static_cast<std::size_t>(caller)];
  stages.reset();
  Seconds time{0};
  const Stopwatch watch;
  {
    std::string found;
    const bool there = database_->get(index * 2, found, fill);
    time = watch.elapsed();
    if (!there) throw EnvironmentError("RocksDB lost a value");
    check_value(index * 2, found, run.operation.bytes, checked == 0);
    checked = 1;
    const Stopwatch freeing;
    std::string().swap(found);
    time += freeing.elapsed();
  }
  stages.add();
  return time;
}

Seconds RocksdbBench::multiget(Run& run, std::int64_t caller) {
  constexpr std::int64_t kMany = rocksdb_bench::kMultiget;
  const std::int64_t first = run.next++ * kMany % keys_of(run.operation);
  Stages& stages = run.stages[static_cast<std::size_t>(caller)];
  stages.reset();
  const Stopwatch watch;
  {
    std::vector<std::string> found;
    database_->multiget({.first = first * 2, .count = kMany, .step = 2}, found);
    for (std::int64_t i = 0; i < kMany; ++i)
      check_value((first + i) * 2, found[static_cast<std::size_t>(i)], value_of(run.operation),
                  false);
  }
  const Seconds time = watch.elapsed();
  stages.add();
  return time;
}

Seconds RocksdbBench::get_missing(Run& run) {
  const std::int64_t index = run.next++ % keys_of(run.operation);
  std::string found;
  const Stopwatch watch;
  if (database_->get(index * 2 + 1, found, false))
    throw EnvironmentError("RocksDB found a key that was never put");
  return watch.elapsed();
}

Sample RocksdbBench::measure(const BenchOperation& operation, const Patience& patience) {
  make_values(value_of(operation));
  Run run{.operation = operation};
  run.checked.assign(static_cast<std::size_t>(operation.at_once), 0);
  run.stages.assign(static_cast<std::size_t>(operation.at_once), Stages(operation.at_once == 1));
  const bool puts = operation.name == "put";
  // Memtables, and what each caller holds: a block and a string, or a batch.
  const Bytes held = operation.bytes * (2 * operation.at_once + 2);
  grow_heap(held + (puts ? round_of(operation) : value_of(operation) * keys_of(operation) * 2));
  if (!puts) prepare_gets(operation);
  Sample sample = kvsim::measure(operation, patience, [&](std::int64_t caller) {
    if (puts) return put(run, caller);
    if (operation.name == "get/missing") return get_missing(run);
    if (operation.name == "multiget/page-cache") return multiget(run, caller);
    return get(run, caller);
  });
  if (puts) check_puts(run);
  Stages::tell(run.stages, sample);
  if (!puts && ratio_ > 0) sample.extra.emplace_back("ratio", std::exchange(ratio_, 0));
  database_.reset();
  return sample;
}

const Register<Bench, RocksdbBench> kRegistered(
    "rocksdb", "Puts and gets of RocksDB, as Kvrocks sets it up, from 64 KiB to 128 MiB.");

}  // namespace

}  // namespace kvsim
