// Mooncake Store: objects in the DRAM of many machines, a master that knows where they are.
//
// A put is two calls of the master around the transfer, a get is one before it: the transfer is the
// wire's and the client's, over several NICs in slices of 64 KiB (sim/store/mooncake_wire.hpp says
// at what rate). A put without room fails and is dropped by the caller, while eviction frees a
// share of the objects behind its back: always after it, never for it. With `disk`, evicted objects
// are written to that disk first; reading one takes two more calls and the disk, and it does not
// come back to memory.
// Source: spec/mooncake.md sections 1, 2 and 6. CPU and latency of a call: assumed.
// Left out: see mooncake_master.hpp; copies by RDMA cost no CPU, those by TCP as for the others.
#include <fmt/format.h>

#include "sim/base/registry.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/mooncake_master.hpp"
#include "sim/store/store_base.hpp"

namespace kvsim {
namespace {

// The master's eviction thread looks so often.
constexpr Seconds kEvictionEvery{0.01};

class Mooncake final : public StoreBase {
 public:
  struct Options {
    MooncakeMaster::Options master;
    std::int64_t master_threads = 4;
    Seconds call_cpu{20e-6};
    Seconds call{100e-6};
    std::string protocol = "tcp";
    double tcp_copies = 3.5;
    std::string disk;
    Bytes disk_capacity{0};
    OutageOptions outages;
    template <class F>
    void fields(F& f) {
      f.optional("segments", master.segments, Range{1, 1e6}, "Machines that give memory.");
      f.required("segment_bytes", master.segment, Range{1, 1e15}, "What each of them gives.");
      f.optional("replicas", master.replicas, Range{1, 100}, "Copies of each object.");
      f.optional("lease_s", master.lease, Range{0, 1e6},
                 "How long what was asked for is neither evicted nor removed.");
      f.optional("high_watermark", master.high_watermark, Range{0.01, 1},
                 "Share of the memory from which objects are evicted.");
      f.optional("eviction_ratio", master.eviction_ratio, Range{0, 1},
                 "Share of the objects that is evicted at a time.");
      f.optional("allocation_overhead", master.allocation_overhead, Range{0, 1},
                 "What allocations take beside their bytes: a few per cent; assumed.");
      f.optional("master_threads", master_threads, Range{1, 1024}, "Calls served at a time.");
      f.optional("call_cpu_s", call_cpu, Range{0, 1}, "Master's CPU of a call; assumed.");
      f.optional("call_s", call, Range{0, 1},
                 "A call's way to the master and back; 10 to 100s of us, assumed.");
      f.choice("protocol", protocol, {"tcp", "rdma"}, "How objects move; as shipped, TCP.");
      f.optional("tcp_copies", tcp_copies, Range{0, 100},
                 "CPU of the machine that holds an object, in copies of it. Default: assumed.");
      f.optional("disk", disk, "Disk for evicted objects; none: they are gone.");
      f.optional("disk_capacity_bytes", disk_capacity, Range{0, 1e16},
                 "Of objects on it; 0 = the disk's.");
      outages.fields(f);
    }
  };
  Mooncake(const Options& options, const Context& context);

  bool contains(StoreKey key) const override { return master_.find(key) != nullptr; }
  bool preload(StoreKey key, Bytes bytes) override;
  void restart(bool warm) override;
  Bytes dram() const override { return master_.capacity(); }
  Seconds estimate_get(Bytes bytes) const override {
    if (context().free_server) return Seconds(0);
    return options_.call + options_.call_cpu + host().copy_time(bytes, copies());
  }
  StoreUse use() const override;
  std::vector<ResourceUse> resources() const override { return {threads_.use()}; }

 private:
  Task run(Command& command) override;
  Task put(Command& command, std::int64_t life);
  Task get(Command& command, std::int64_t life);
  Task look_up(Command& command, std::int64_t life);
  // One call of the master, to which `count` others are added for their time.
  Task call(int count = 1);
  Task move(Bytes bytes);
  void start_eviction();
  Task evict();
  void evict_once();
  Task offload(StoreKey key, std::int64_t life);
  void gone(StoreKey key);
  [[nodiscard]] bool room_on_disk(Bytes bytes);
  [[nodiscard]] double copies() const {
    return options_.protocol == "tcp" ? options_.tcp_copies : 0;
  }

  Options options_;
  MooncakeMaster master_;
  Threads threads_;
  Disk* disk_ = nullptr;
  Bytes on_disk_{0};
  Bytes offloading_{0};  // of those: being written
  Bytes offloaded_{0};
  bool evicting_ = false;
};

Mooncake::Mooncake(const Options& options, const Context& context)
    : StoreBase(context, options.outages),
      options_(options),
      master_(options.master, stream(context.seed, "store/" + context.name + "/segments")),
      threads_(context.tasks, context.name + ".master", "cpu",
               static_cast<std::int32_t>(options.master_threads)) {
  if (options.master.replicas > options.master.segments)
    throw ConfigError(fmt::format("store {}: replicas: found {}; allowed: at most segments, {}",
                                  context.name, options.master.replicas, options.master.segments));
  if (options.disk.empty()) return;
  disk_ = context.host.disk(options.disk);
  if (disk_ == nullptr)
    throw ConfigError(fmt::format("store {}: disk: found \"{}\"; allowed: a disk of {}: one of {}",
                                  context.name, options.disk, context.host.name(),
                                  join_names(context.host.disk_names())));
}

Task Mooncake::call(int count) {
  if (context().free_server) co_return;
  const Hold thread = co_await threads_.acquire();
  co_await host().compute(options_.call_cpu * count);
}

Task Mooncake::move(Bytes bytes) {
  if (!context().free_server && copies() > 0) co_await host().copy(bytes, copies());
}

Task Mooncake::run(Command& command) {
  const Seconds began = tasks().now();
  const std::int64_t life = this->life();
  const Seconds disk_before = command.times[Stage::kDisk];
  if (command.verb == Verb::kPut) {
    co_await put(command, life);
  } else if (command.verb == Verb::kGet) {
    co_await get(command, life);
  } else {
    co_await look_up(command, life);
  }
  const Seconds disk = command.times[Stage::kDisk] - disk_before;
  command.times[Stage::kServer] += tasks().now() - began - disk;
}

Task Mooncake::put(Command& command, std::int64_t life) {
  if (!context().free_server) co_await tasks().sleep(options_.call);
  co_await call();
  if (life != this->life()) co_return;
  if (master_.known(command.key)) {
    // Immutable: the one that is there stays.
    answer(command, Answer::kStored);
    co_return;
  }
  if (!master_.put_start(command.key, command.bytes)) {
    start_eviction();
    answer(command, Answer::kRefused);
    co_return;
  }
  co_await move(command.bytes * options_.master.replicas);
  if (!context().free_server) co_await tasks().sleep(options_.call);
  co_await call();
  if (life != this->life()) co_return;
  if (!master_.known(command.key)) co_return;  // a restart has forgotten it
  master_.put_end(command.key, tasks().now());
  if (master_.above_watermark()) start_eviction();
  answer(command, Answer::kStored);
}

Task Mooncake::get(Command& command, std::int64_t life) {
  if (!context().free_server) co_await tasks().sleep(options_.call);
  co_await call();
  if (life != this->life()) co_return;
  const MooncakeMaster::Object* object = master_.find(command.key);
  if (object == nullptr) {
    answer(command, Answer::kMissing);
    co_return;
  }
  command.bytes = object->bytes;
  const bool from_disk = !object->in_memory;
  master_.grant_lease(command.key, tasks().now());
  if (from_disk) {
    // The machine that owns the disk is asked to read it and then tells where it is.
    if (!context().free_server) co_await tasks().sleep(options_.call * 2);
    co_await call(2);
    const Seconds began = tasks().now();
    if (!context().free_disk)
      co_await disk_->io({.bytes = command.bytes, .position = mix64(command.key) >> 16});
    command.times[Stage::kDisk] += tasks().now() - began;
  }
  co_await move(command.bytes);
  if (life == this->life()) answer(command, Answer::kFound);
}

Task Mooncake::look_up(Command& command, std::int64_t life) {
  if (!context().free_server) co_await tasks().sleep(options_.call);
  co_await call();
  if (life != this->life()) co_return;
  const MooncakeMaster::Object* object = master_.find(command.key);
  if (object == nullptr) {
    answer(command, Answer::kMissing);
    co_return;
  }
  command.bytes = object->bytes;
  if (command.verb == Verb::kExists) {
    master_.grant_lease(command.key, tasks().now());
    answer(command, Answer::kFound);
  } else if (object->lease_end > tasks().now()) {
    answer(command, Answer::kRefused);
  } else {
    gone(command.key);
    answer(command, Answer::kFound);
  }
}

void Mooncake::start_eviction() {
  if (evicting_) return;
  evicting_ = true;
  tasks().start(evict());
}

Task Mooncake::evict() {
  co_await tasks().sleep(kEvictionEvery);
  for (evict_once(); master_.above_watermark(); evict_once()) {
    // Nothing goes before a lease ends.
    const std::optional<Seconds> lease = master_.next_lease_end();
    if (!lease) break;
    co_await tasks().sleep(std::max(kEvictionEvery, *lease - tasks().now()));
  }
  evicting_ = false;
}

void Mooncake::evict_once() {
  for (const StoreKey key : master_.victims(tasks().now())) {
    const Bytes bytes = master_.find(key)->bytes;
    if (disk_ != nullptr && room_on_disk(bytes)) {
      on_disk_ += bytes;
      offloading_ += bytes;
      master_.set_offloading(key);
      tasks().start(offload(key, life()));
      continue;
    }
    counts().evicted += bytes;
    tell_gone(key);
    master_.erase(key);
  }
}

bool Mooncake::room_on_disk(Bytes bytes) {
  const bool full = options_.disk_capacity > Bytes(0) && on_disk_ + bytes > options_.disk_capacity;
  return !full && disk_->take_space(bytes);
}

// Memory is free again when the disk has it.
Task Mooncake::offload(StoreKey key, std::int64_t life) {
  const Bytes bytes = master_.find(key)->bytes;
  if (!context().free_disk)
    co_await disk_->io({.write = true, .bytes = bytes, .position = mix64(key) >> 16});
  offloaded_ += bytes;
  offloading_ -= bytes;
  const MooncakeMaster::Object* object = master_.find(key);
  // Removed meanwhile, and maybe put anew.
  if (life != this->life() || object == nullptr || !object->offloading) {
    on_disk_ -= bytes;
    disk_->give_space(bytes);
    co_return;
  }
  master_.set_on_disk(key);
  master_.leave_memory(key);
}

void Mooncake::gone(StoreKey key) {
  const MooncakeMaster::Object* object = master_.find(key);
  if (object->on_disk) {
    on_disk_ -= object->bytes;
    disk_->give_space(object->bytes);
  }
  master_.erase(key);
}

bool Mooncake::preload(StoreKey key, Bytes bytes) {
  if (master_.known(key)) return true;
  if (!master_.put_start(key, bytes)) return false;
  master_.put_end(key, Seconds(0));
  return true;
}

// The master's table is all there is.
void Mooncake::restart(bool warm) {
  if (warm) return;
  master_.clear();
  tell_cleared();
  // What is being written gives its room back by itself.
  if (disk_ != nullptr) disk_->give_space(on_disk_ - offloading_);
  on_disk_ = offloading_;
}

StoreUse Mooncake::use() const {
  StoreUse use = StoreBase::use();
  use.live = master_.live();
  if (use.stored > Bytes(0)) use.write_amplification = offloaded_.real() / use.stored.real();
  return use;
}

const Register<Store, Mooncake> kRegistered(
    "mooncake",
    "Mooncake Store: objects in the DRAM of machines, leases, a master; optional disk.");

}  // namespace
}  // namespace kvsim
