// A machine with one plain disk, and stores on it, for tests: times by hand are easy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/des/shared_server.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

// Latency, then a rate that all uses share, reads and writes alike.
class PlainDisk final : public Disk {
 public:
  PlainDisk(Tasks& tasks, Seconds latency, Bandwidth rate, Bytes capacity)
      : tasks_(tasks),
        latency_(latency),
        device_(tasks, "disk", "disk", rate.count()),
        capacity_(capacity) {}
  Task io(DiskIo io) override {
    (io.write ? use_.written : use_.read) += io.bytes;
    if (!io.write) ++reads;
    co_await tasks_.sleep(latency_);
    co_await device_.use(io.bytes.real(), io.most.count());
  }
  bool take_space(Bytes bytes) override {
    if (use_.used + bytes > capacity_) return false;
    use_.used += bytes;
    return true;
  }
  void give_space(Bytes bytes) override { use_.used -= bytes; }
  Bandwidth rate(bool) const override { return Bandwidth(device_.capacity()); }
  DiskUse use() const override {
    DiskUse use = use_;
    use.written_flash = use.written;
    use.capacity = capacity_;
    return use;
  }
  std::vector<ResourceUse> resources() const override { return {device_.use_so_far()}; }

  std::int64_t reads = 0;

 private:
  Tasks& tasks_;
  Seconds latency_;
  SharedServer device_;
  Bytes capacity_;
  DiskUse use_;
};

struct MachineOptions {
  CpuOptions cpu{.cores = 1000, .copy = Bandwidth(10e9), .memory = Bandwidth(1e15)};
  Bytes dram{0};
  Bandwidth disk_rate{1e9};
  Seconds disk_latency{100e-6};
  Bytes disk_capacity{1'000'000'000'000};
};

struct StoreWorld {
  explicit StoreWorld(const MachineOptions& options = {})
      : tasks(world), host(tasks, "host", options.cpu, options.dram) {
    auto plain = std::make_unique<PlainDisk>(tasks, options.disk_latency, options.disk_rate,
                                             options.disk_capacity);
    disk = plain.get();
    host.add_disk("ssd", std::move(plain));
  }
  ~StoreWorld() { tasks.clear(); }

  std::unique_ptr<Store> make(const Json& config, std::uint64_t seed = 1) {
    return Registry<Store>::instance().make(
        ConfigNode(config, "test"), {.tasks = tasks, .host = host, .name = "store", .seed = seed});
  }

  // A command that is sent at `at`; `ended` < 0 until it is answered.
  struct Sent {
    Command command;
    double at = 0;
    double ended = -1;
    [[nodiscard]] double took() const { return ended - at; }
    [[nodiscard]] double spent(Stage stage) const {
      return command.times.seconds[static_cast<std::size_t>(stage)].count();
    }
  };
  // Sends it at that time, beside all else. The store and this must stay until run() is over.
  Sent& send(Store& store, double at, Verb verb, StoreKey key, std::int64_t bytes = 0,
             std::int64_t connection = 0) {
    Command command{.verb = verb, .key = key, .bytes = Bytes(bytes), .connection = connection};
    sent.push_back(std::make_unique<Sent>(Sent{command, at}));
    tasks.start(deliver(store, *sent.back()));
    return *sent.back();
  }
  Task deliver(Store& store, Sent& one) {
    co_await tasks.sleep(Seconds(one.at) - tasks.now());
    co_await store.serve(one.command);
    one.ended = tasks.now().count();
  }

  World world;
  Tasks tasks;
  Host host;
  PlainDisk* disk = nullptr;
  std::vector<std::unique_ptr<Sent>> sent;
};

}  // namespace kvsim
