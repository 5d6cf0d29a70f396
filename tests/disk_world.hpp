// A disk in a world of its own, and callers that use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/store/disk.hpp"
#include "tests/child.hpp"

namespace kvsim {

inline std::unique_ptr<Disk> make_disk(Tasks& tasks, const Json& config, bool deterministic = true,
                                       std::uint64_t seed = 1, double speed = 1) {
  const ConfigNode node(config, "test");
  // As a configuration is read: with defaults filled in.
  const auto& entry = Registry<Disk>::instance().find(node);
  const Json full = entry.resolve(node);
  return entry.make(ConfigNode(full, "test"), {.tasks = tasks,
                                               .name = "disk",
                                               .deterministic = deterministic,
                                               .seed = seed,
                                               .memory = Bandwidth(10e9),
                                               .speed = speed});
}

// One call, `after` from the start; when it came back.
struct Call {
  double after = 0;
  DiskIo io;
  double end = -1;
};

inline Task run_call(Tasks& tasks, Disk& disk, Call& call) {
  co_await tasks.sleep(Seconds(call.after));
  co_await disk.io(call.io);
  call.end = tasks.now().count();
}

// Runs the calls; call inside in_child().
inline void run_calls(World& world, Tasks& tasks, Disk& disk, std::vector<Call>& calls) {
  for (Call& call : calls) tasks.start(run_call(tasks, disk, call));
  world.run();
}

// When each call ended.
inline std::vector<double> ends_of(const Json& config, std::vector<Call> calls,
                                   bool deterministic = true, std::uint64_t seed = 1) {
  return numbers_of_child([&] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config, deterministic, seed);
    run_calls(world, tasks, *disk, calls);
    std::vector<double> ends;
    for (const Call& call : calls) ends.push_back(call.end);
    return ends;
  });
}

inline DiskIo read_of(double bytes, std::uint64_t position = 0) {
  return {.bytes = Bytes(static_cast<std::int64_t>(bytes)), .position = position};
}
inline DiskIo write_of(double bytes) {
  return {.write = true, .bytes = Bytes(static_cast<std::int64_t>(bytes))};
}

// A drive with round figures: 1 GB/s reads, 0.5 GB/s writes, 100 us and 10 us.
inline Json round_drive(const Json& more = Json::object()) {
  Json drive = {{"kind", "nvme"},           {"capacity_bytes", 1'000'000'000'000},
                {"read_bytes_per_s", 1e9},  {"write_bytes_per_s", 0.5e9},
                {"read_iops", 1e5},         {"write_iops", 1e4},
                {"read_latency_s", 100e-6}, {"write_latency_s", 10e-6},
                {"large_read_s", 0},        {"mixing_penalty", 0},
                {"write_amplification", 1}, {"random_write_amplification", 4},
                {"drive_writes_per_day", 1}};
  drive.update(more);
  return drive;
}

}  // namespace kvsim
