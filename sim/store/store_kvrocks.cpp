// Kvrocks: the protocol of Redis on RocksDB.
//
// `workers` threads with a share of the connections each: the kernel deals new connections out by a
// hash (SO_REUSEPORT), so with few of them some workers have several and others none. A command
// runs on its worker to the end, waits for the disk and for stalled writes included, and keeps all
// other connections of that worker waiting.
// A string is one RocksDB entry, header and value: EXISTS and DEL read the whole value, as GET does
// without sending it (apache/kvrocks, src/storage/redis_db.cc).
// Copies of a value (spec/kvrocks_rocksdb.md section 1): a SET has five before RocksDB (kernel,
// linearising, token, raw value, write batch) and two in it (log, memtable); a GET has one where it
// is read from a file, and five to six on the way out.
// Left out: replication, expiry, scripts, cluster redirects, the time before a cut connection is
// noticed, max-db-size as Kvrocks measures it (now and then, and without memtables).
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/store/resp_server.hpp"
#include "sim/store/rocksdb_engine.hpp"
#include "sim/store/store_base.hpp"

namespace kvsim {
namespace {

// What a lookup that finds nothing counts as, among live operations.
constexpr Bytes kMissing{1024};

class Kvrocks final : public StoreBase {
 public:
  struct Options {
    Options() {
      resp.copies_in = 5;
      resp.copies_out = 5.5;
    }
    std::int64_t workers = 8;
    RespOptions resp;
    RocksdbOptions rocksdb;
    OutageOptions outages;
    template <class F>
    void fields(F& f) {
      f.optional("workers", workers, Range{1, 4096}, "Threads that serve connections.");
      resp.fields(f);
      rocksdb.fields(f);
      outages.fields(f);
    }
  };
  Kvrocks(const Options& options, const Context& context)
      : StoreBase(context, options.outages),
        options_(options),
        server_(context.host, options.resp,
                context.free_server || context.host.live().drives(LiveLane::kResp)),
        engine_(options.rocksdb, engine_context(context), [this] { return life(); }) {
    engine_.set_evicts([this](StoreKey key) { tell_gone(key); });
    for (std::int64_t i = 0; i < options.workers; ++i)
      workers_.push_back(
          std::make_unique<Threads>(context.tasks, context.name + ".worker", "cpu", 1));
  }

  bool contains(StoreKey key) const override { return engine_.contains(key); }
  bool preload(StoreKey key, Bytes bytes) override {
    return bytes <= options_.resp.max_value && engine_.preload(key, bytes);
  }
  bool speaks_resp() const override { return true; }
  void restart(bool warm) override {
    if (!warm) engine_.restart_cold();
  }
  Bytes dram() const override { return engine_.dram(); }
  Seconds estimate_get(Bytes bytes) const override {
    return server_.get_time(bytes) + engine_.estimate_read(bytes);
  }
  StoreUse use() const override {
    StoreUse use = StoreBase::use();
    use.live = engine_.live();
    use.evicted = engine_.evicted();
    use.write_amplification = engine_.tree().write_amplification();
    return use;
  }
  std::vector<ResourceUse> resources() const override;

 private:
  // A live RocksDB spends the time itself.
  static Context engine_context(Context context) {
    if (context.host.live().drives(LiveLane::kRocksdb))
      context.free_server = context.free_disk = true;
    return context;
  }
  Task run(Command& command) override;
  Task put(Command& command, std::int64_t life);
  Task look_up(Command& command, std::int64_t life);
  Threads& worker_of(std::int64_t connection) {
    const std::uint64_t hash =
        mix64(static_cast<std::uint64_t>(connection + 1) * 0x9e3779b97f4a7c15ULL ^ context().seed);
    return *workers_[hash % workers_.size()];
  }

  Options options_;
  RespServer server_;
  RocksdbEngine engine_;
  std::vector<std::unique_ptr<Threads>> workers_;
};

Task Kvrocks::run(Command& command) {
  const Seconds began = tasks().now();
  const std::int64_t life = this->life();
  const Hold worker = co_await worker_of(command.connection).acquire();
  if (life != this->life()) co_return;
  const Seconds disk_before = command.times[Stage::kDisk];
  co_await server_.handle();
  if (command.verb == Verb::kPut) {
    co_await put(command, life);
  } else {
    co_await look_up(command, life);
  }
  const Seconds disk = command.times[Stage::kDisk] - disk_before;
  command.times[Stage::kServer] += tasks().now() - began - disk;
}

Task Kvrocks::put(Command& command, std::int64_t life) {
  RocksdbEngine::Write write{.key = command.key, .value = command.bytes, .life = life};
  // A longer one is refused by its header; the connection is closed.
  if (command.bytes <= options_.resp.max_value) {
    co_await server_.take_in(command.bytes);
    LiveFlight flight(tasks(), host().live(), LiveLane::kRocksdb);
    co_await engine_.write(write);
    co_await flight.end("put", command.bytes);
  }
  command.times[Stage::kDisk] += write.disk;
  if (life == this->life()) answer(command, write.done ? Answer::kStored : Answer::kRefused);
}

Task Kvrocks::look_up(Command& command, std::int64_t life) {
  RocksdbEngine::Read read{.key = command.key};
  {
    LiveFlight flight(tasks(), host().live(), LiveLane::kRocksdb);
    co_await engine_.read(read);
    co_await flight.end(read.from, read.found ? read.value : kMissing);
  }
  command.times[Stage::kDisk] += read.disk;
  if (life != this->life()) co_return;
  if (!read.found) {
    answer(command, Answer::kMissing);
    co_return;
  }
  if (command.verb == Verb::kRemove) {
    RocksdbEngine::Write write{.key = command.key, .erase = true, .life = life};
    co_await engine_.write(write);
    command.times[Stage::kDisk] += write.disk;
    if (life != this->life()) co_return;
  }
  command.bytes = read.value;
  answer(command, Answer::kFound);
  if (command.verb != Verb::kGet) co_return;
  co_await server_.send_out(read.value);
}

std::vector<ResourceUse> Kvrocks::resources() const {
  ResourceUse all = workers_[0]->use();
  all.name = context().name + ".workers";
  all.servers = static_cast<std::int32_t>(workers_.size());
  for (std::size_t i = 1; i < workers_.size(); ++i) all.busy += workers_[i]->use().busy;
  std::vector<ResourceUse> out = {all};
  for (ResourceUse& use : engine_.resources()) out.push_back(std::move(use));
  return out;
}

const Register<Store, Kvrocks> kRegistered(
    "kvrocks", "Kvrocks: RocksDB on a disk of its host behind threads of the Redis protocol.");

}  // namespace
}  // namespace kvsim
