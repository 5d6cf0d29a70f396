#include "sim/validate/storage_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/store/disk.hpp"

namespace kvsim {

namespace {

// Of devices made of DRAM; none of these is.
constexpr Bandwidth kMemory(10e9);

struct Run {
  StorageLoad load;
  std::unique_ptr<Disk> disk;
  StorageOutcome outcome;
};

Task job(Tasks& tasks, Run& run, Rng rng) {
  const StorageLoad& load = run.load;
  while (tasks.now() < load.duration) {
    DiskIo io{.write = rng.uniform() >= load.reads,
              .bytes = load.request,
              .position = rng.below(1ULL << 20) * 4096};
    const Seconds begin = tasks.now();
    co_await run.disk->io(io);
    if (tasks.now() > load.duration) break;
    StorageSide& side = io.write ? run.outcome.write : run.outcome.read;
    side.latencies_s.push_back((tasks.now() - begin).count());
  }
}

std::unique_ptr<Disk> make_disk(Tasks& tasks, const StorageLoad& load, std::size_t number,
                                std::uint64_t seed) {
  const ConfigNode node(load.disk, "validation template", "/disk");
  const auto& entry = Registry<Disk>::instance().find(node);
  const Json full = entry.resolve(node);  // with defaults filled in
  return entry.make(ConfigNode(full, "validation template", "/disk"),
                    {.tasks = tasks,
                     .name = fmt::format("disk{}", number),
                     .deterministic = false,
                     .seed = seed,
                     .memory = kMemory,
                     .speed = 1});
}

void sum_up(StorageSide& side, const StorageLoad& load) {
  std::sort(side.latencies_s.begin(), side.latencies_s.end());
  side.requests_per_s = static_cast<double>(side.latencies_s.size()) / load.duration.count();
  side.bytes_per_s = side.requests_per_s * load.request.real();
}

}  // namespace

std::vector<StorageOutcome> run_storage(const std::vector<StorageLoad>& loads, std::uint64_t seed) {
  World world;
  Tasks tasks(world);
  std::vector<Run> runs(loads.size());
  for (std::size_t i = 0; i < loads.size(); ++i) {
    runs[i].load = loads[i];
    runs[i].disk = make_disk(tasks, loads[i], i, seed);
    for (std::int64_t j = 0; j < loads[i].jobs; ++j)
      tasks.start(job(tasks, runs[i], stream(seed, fmt::format("validate/storage/{}/{}", i, j))));
  }
  world.run();
  std::vector<StorageOutcome> outcomes;
  for (Run& run : runs) {
    sum_up(run.outcome.read, run.load);
    sum_up(run.outcome.write, run.load);
    outcomes.push_back(std::move(run.outcome));
  }
  return outcomes;
}

}  // namespace kvsim
