// Nanoseconds of host time per call of a disk, by kind and callers at a time. Not a test: run it by
// hand.
#include <fmt/format.h>

#include <ctime>

#include "tests/disk_world.hpp"

namespace kvsim {
namespace {

Task caller(Disk& disk, double bytes, int calls, int who) {
  for (int i = 0; i < calls; ++i)
    co_await disk.io(read_of(bytes, static_cast<std::uint64_t>(i * 64 + who) * 524'288));
}

void bench(const char* name, const Json& config, double bytes, int callers) {
  constexpr int kCalls = 400'000;
  const auto spent = numbers_of_child([&]() -> std::vector<double> {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config, false);
    const std::clock_t start = std::clock();
    for (int i = 0; i < callers; ++i) tasks.start(caller(*disk, bytes, kCalls / callers, i));
    world.run();
    return {static_cast<double>(std::clock() - start) * (1e9 / CLOCKS_PER_SEC)};
  });
  fmt::print("  {:<20}{:>4} callers {:>8.0f} ns\n", name, callers, spent[0] / kCalls);
  std::fflush(stdout);
}

}  // namespace
}  // namespace kvsim

int main() {
#ifndef NDEBUG
  fmt::print(stderr, "warning: built with assertions; use a Release build\n");
#endif
  using kvsim::Json;
  for (const int callers : {1, 8, 64}) {
    kvsim::bench("nvme, 4 KiB", "nvme", 4096, callers);
    kvsim::bench("nvme, 2 MiB", "nvme", 2 << 20, callers);
    kvsim::bench("raid0 of 2, 4 KiB", Json{{"kind", "raid0"}, {"of", "nvme"}}, 4096, callers);
    kvsim::bench("raid0 of 2, 2 MiB", Json{{"kind", "raid0"}, {"of", "nvme"}}, 2 << 20, callers);
    kvsim::bench("tmpfs", Json{{"kind", "tmpfs"}, {"capacity_bytes", 1000}}, 4096, callers);
  }
  return 0;
}
