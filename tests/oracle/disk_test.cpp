// Disks against closed forms.
#include "tests/disk_world.hpp"

namespace kvsim {
namespace {

constexpr double kClose = 1e-9;
constexpr double kMiB = 1 << 20;

TEST(Nvme, OneReadTakesItsLatencyAndItsBytes) {
  const auto ends = ends_of(round_drive(), {{.io = read_of(1e6)}});
  EXPECT_NEAR(ends[0], 100e-6 + 1e-3, kClose);
}

TEST(Nvme, BandwidthIsWhatIsInFlightOverLatency) {
  // 64 KiB at a time: 64 KiB / (100 us + 65.536 us) until the device is the limit.
  const double request = 65'536;
  for (const int depth : {1, 2, 4, 64}) {
    DiskIo io = read_of(1024 * request);
    io.request = Bytes(65'536);
    io.depth = depth;
    const double alone = 1024.0 / depth * (100e-6 + request / 1e9);
    const double full = 100e-6 + 1024 * request / 1e9;
    EXPECT_NEAR(ends_of(round_drive(), {{.io = io}})[0], std::max(alone, full), 1e-7) << depth;
  }
}

TEST(Nvme, OneReadAtATimeIsFarFromTheRateAndSixteenReachIt) {
  // spec/perf_model.md section 4.2: 128 KiB at a time give 1 to 1.5 GB/s, 8 to 16 of them all.
  DiskIo io = read_of(1e9);
  io.request = Bytes(131'072);
  const auto rate = [&](int depth) {
    io.depth = depth;
    return 1e9 / ends_of("nvme", {{.io = io}})[0];
  };
  EXPECT_NEAR(rate(1), 1.3e9, 0.1e9);
  EXPECT_LT(rate(4), 5.5e9);
  EXPECT_NEAR(rate(16), 6.8e9, 0.1e9);
}

TEST(Nvme, ManyDiesMakeALargeReadWaitForTheSlowest) {
  const Json drive = round_drive({{"large_read_s", 300e-6}});
  EXPECT_NEAR(ends_of(drive, {{.io = read_of(131'072)}})[0], 100e-6 + 131'072 / 1e9, kClose);
  EXPECT_NEAR(ends_of(drive, {{.io = read_of(589'824)}})[0], 250e-6 + 589'824 / 1e9, kClose);
  EXPECT_NEAR(ends_of(drive, {{.io = read_of(4e6)}})[0], 400e-6 + 4e-3, kClose);
}

TEST(Nvme, ReadersShareItEvenly) {
  const auto ends =
      ends_of(round_drive(), {{.io = read_of(1e6)}, {.io = read_of(1e6)}, {.io = read_of(2e6)}});
  EXPECT_NEAR(ends[0], 100e-6 + 3e-3, kClose);
  EXPECT_NEAR(ends[1], 100e-6 + 3e-3, kClose);
  EXPECT_NEAR(ends[2], 100e-6 + 4e-3, kClose);
}

TEST(Nvme, ReadsAndWritesShareItsTimeAndNotItsBytes) {
  // The write begins 90 us before the read; each has half the device's time from then on.
  const auto ends = ends_of(round_drive(), {{.io = read_of(1e6)}, {.io = write_of(1e6)}});
  EXPECT_NEAR(ends[0], 100e-6 + 2e-3, kClose);
  EXPECT_NEAR(ends[1], 10e-6 + 2e-3 + 1e-3, kClose);
}

TEST(Nvme, SmallRequestsAreBoundByOperationsASecond) {
  DiskIo io = read_of(1000 * 4096);
  io.request = Bytes(4096);
  io.depth = 1000;
  EXPECT_NEAR(ends_of(round_drive(), {{.io = io}})[0], 100e-6 + 1000 / 1e5, kClose);
}

TEST(Nvme, ACallersOwnCapHolds) {
  DiskIo io = read_of(1e6);
  io.most = Bandwidth(0.1e9);
  EXPECT_NEAR(ends_of(round_drive(), {{.io = io}})[0], 100e-6 + 10e-3, kClose);
}

TEST(Nvme, MixingCostsSmallRequestsMoreThanTheSum) {
  const Json drive = round_drive({{"mixing_penalty", 1}});
  const Call write{.io = write_of(100e6)};
  Call small{.after = 1e-3, .io = read_of(4096)};
  Call large{.after = 1e-3, .io = read_of(1e6)};
  EXPECT_NEAR(ends_of(drive, {write, small})[1], 1e-3 + 100e-6 + 2 * 2 * 10e-6, kClose);
  EXPECT_NEAR(ends_of(drive, {write, large})[1], 1e-3 + 100e-6 + 2 * 1e-3, kClose);
  EXPECT_NEAR(ends_of(drive, {small})[0], 1e-3 + 100e-6 + 10e-6, kClose);
}

TEST(Nvme, SmallMixesStayInThePublishedRange) {
  // Micron 9550 MAX, 70/30: 720 to 1300 k operations a second (spec/perf_model.md section 4.2).
  const auto rate = numbers_of_child([]() -> std::vector<double> {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, {{"kind", "nvme"}, {"profile", "micron-9550-max"}}, false);
    const auto loop = [](Disk& device, int caller) -> Task {
      for (int i = 0; i < 100; ++i)
        co_await device.io((caller + i) % 10 < 7 ? read_of(4096) : write_of(4096));
    };
    for (int i = 0; i < 256; ++i) tasks.start(loop(*disk, i));
    world.run();
    return {25'600 / tasks.now().count()};
  })[0];
  EXPECT_GT(rate, 720e3);
  EXPECT_LT(rate, 1300e3);
}

Json buffered_drive() {
  return round_drive({{"write_buffer_bytes", 100'000'000},
                      {"sustained_write_bytes_per_s", 0.1e9},
                      {"buffer_drain_bytes_per_s", 0.05e9}});
}

TEST(Nvme, WritesSlowDownWhenTheBufferIsFullAndNotBefore) {
  // 100 MB at 0.5 GB/s, then 0.1 GB/s.
  const double full = 0.2 + 10e-6;
  const double one = 1e6;
  const auto ends = ends_of(buffered_drive(), {{.io = write_of(99e6)},
                                               {.after = full, .io = write_of(one)},
                                               {.after = 2 * full, .io = write_of(one)}});
  EXPECT_NEAR(ends[0], 10e-6 + 99e6 / 0.5e9, kClose);
  EXPECT_NEAR(ends[1], full + 10e-6 + one / 0.5e9, kClose);  // the last megabyte of the buffer
  // While nothing was written the buffer drained: all of this one fits again.
  EXPECT_NEAR(ends[2], 2 * full + 10e-6 + one / 0.5e9, kClose);
  const auto through = ends_of(buffered_drive(), {{.io = write_of(150e6)}});
  EXPECT_NEAR(through[0], 10e-6 + 0.2 + 50e6 / 0.1e9, kClose);
}

TEST(Nvme, TheBufferDrainsOnlyAsFastAsItDoes) {
  // Full at 0.2; 0.1 s idle brings 5 MB back, so 5 of 10 MB go at the sustained rate.
  const auto ends = ends_of(buffered_drive(), {{.io = write_of(100e6)},
                                               {.after = 0.2 + 10e-6 + 0.1, .io = write_of(10e6)}});
  const double begun = 0.3 + 10e-6 + 10e-6;
  EXPECT_NEAR(ends[1], begun + 5e6 / 0.5e9 + 5e6 / 0.1e9, 1e-4);
}

TEST(Nvme, DrawsKeepTheMeanAndSpreadAsStated) {
  const Json drive = round_drive({{"read_spread", 1.5}});
  std::vector<Call> calls;
  for (int i = 0; i < 4000; ++i) calls.push_back({.after = i * 0.1, .io = read_of(1e6)});
  std::vector<double> times = ends_of(drive, calls, false);
  double sum = 0;
  for (std::size_t i = 0; i < times.size(); ++i) sum += times[i] -= calls[i].after;
  std::sort(times.begin(), times.end());
  EXPECT_NEAR(sum / 4000, 1.1e-3, 0.02e-3);
  EXPECT_NEAR(times[3960] / times[2000], 1.5, 0.05);
}

TEST(Raid0, OneSmallReadGainsNothing) {
  const Json pair = {{"kind", "raid0"}, {"of", round_drive()}};
  EXPECT_NEAR(ends_of(pair, {{.io = read_of(4096)}})[0],
              ends_of(round_drive(), {{.io = read_of(4096)}})[0], kClose);
}

TEST(Raid0, ALargeReadIsSharedByAllMembers) {
  const Json pair = {{"kind", "raid0"}, {"of", round_drive()}};
  EXPECT_NEAR(ends_of(pair, {{.io = read_of(64 * kMiB)}})[0], 100e-6 + 32 * kMiB / 1e9, kClose);
  // An odd number of chunks: the member with one more is the last.
  EXPECT_NEAR(ends_of(pair, {{.io = read_of(1.5 * kMiB)}})[0], 100e-6 + kMiB / 1e9, kClose);
}

TEST(Raid0, AChunkBoundaryMovesBytesToTheNextMember) {
  const Json pair = {{"kind", "raid0"}, {"of", round_drive()}};
  const double chunk = 524'288;
  const auto time = [&](double bytes, std::uint64_t position) {
    return ends_of(pair, {{.io = read_of(bytes, position)}})[0];
  };
  EXPECT_NEAR(time(chunk, 0), 100e-6 + chunk / 1e9, kClose);
  EXPECT_NEAR(time(chunk, 262'144), 100e-6 + chunk / 2 / 1e9, kClose);
  EXPECT_NEAR(time(2 * chunk, 262'144), 100e-6 + chunk / 1e9, kClose);
}

TEST(Raid0, OperationsASecondDoubleOnlyWithEnoughInFlight) {
  // Each of `callers` reads 4 KiB at a time, on either member in turn, 200 times. Times are drawn:
  // equal callers that began together would stay in step and leave the device idle together.
  const Json drive = round_drive({{"read_spread", 2}});
  const auto rate = [](const Json& config, int callers) {
    return numbers_of_child([&]() -> std::vector<double> {
      World world;
      Tasks tasks(world);
      const auto disk = make_disk(tasks, config, false);
      const auto loop = [](Disk& device, int caller) -> Task {
        for (int i = 0; i < 200; ++i)
          co_await device.io(read_of(4096, static_cast<std::uint64_t>(caller + i) * 524'288));
      };
      for (int i = 0; i < callers; ++i) tasks.start(loop(*disk, i));
      world.run();
      return {callers * 200 / tasks.now().count()};
    })[0];
  };
  const Json pair = {{"kind", "raid0"}, {"of", drive}};
  EXPECT_NEAR(rate(pair, 1) / rate(drive, 1), 1, 0.05);
  EXPECT_NEAR(rate(pair, 64) / rate(drive, 64), 2, 0.1);
}

TEST(Raid0, AWindowWithinAChunkKeepsOneMemberBusyAtATime) {
  const Json pair = {{"kind", "raid0"}, {"of", round_drive()}};
  DiskIo io = read_of(64 * kMiB);
  io.request = Bytes(131'072);
  io.depth = 1;
  const double requests = 64 * kMiB / 131'072;
  EXPECT_NEAR(ends_of(pair, {{.io = io}})[0], requests * (100e-6 + 131'072 / 1e9), 1e-6);
  // Two chunks in flight use both.
  io.depth = 8;
  EXPECT_NEAR(ends_of(pair, {{.io = io}})[0], 100e-6 + 32 * kMiB / 1e9, 1e-3);
}

TEST(CloudVolume, KeepsToItsCapsOnBytesAndOperations) {
  const Json volume = {
      {"kind", "cloud-volume"},     {"bytes_per_s", 100e6},   {"iops", 100},
      {"operation_bytes", 262'144}, {"read_latency_s", 1e-3}, {"capacity_bytes", 1'000'000'000}};
  EXPECT_NEAR(ends_of(volume, {{.io = read_of(100e6)}})[0], 1e-3 + 382 / 100.0, kClose);
  Json wide = volume;
  wide["iops"] = 10'000;
  EXPECT_NEAR(ends_of(wide, {{.io = read_of(100e6)}})[0], 1e-3 + 1, kClose);
}

TEST(CloudVolume, CapsBySizeGrowUpToTheMost) {
  const auto time = [](double capacity) {
    const Json volume = {{"kind", "cloud-volume"},
                         {"bytes_per_s_per_gb", 1e5},
                         {"bytes_per_s_most", 200e6},
                         {"read_latency_s", 0},
                         {"capacity_bytes", static_cast<std::int64_t>(capacity)}};
    return ends_of(volume, {{.io = read_of(100e6)}})[0];
  };
  EXPECT_NEAR(time(1e12), 1, kClose);
  EXPECT_NEAR(time(2e12), 0.5, kClose);
  EXPECT_NEAR(time(8e12), 0.5, kClose);
}

TEST(CloudVolume, CreditIsSpentFirstAndComesBackWhileIdle) {
  const Json volume = {{"kind", "cloud-volume"},      {"bytes_per_s", 100e6},
                       {"burst_bytes_per_s", 1000e6}, {"burst_credit_bytes", 100'000'000},
                       {"read_latency_s", 0},         {"capacity_bytes", 1'000'000'000}};
  const auto ends = ends_of(volume, {{.io = read_of(200e6)}, {.after = 1.6, .io = read_of(100e6)}});
  EXPECT_NEAR(ends[0], 0.1 + 1, kClose);
  EXPECT_NEAR(ends[1], 1.6 + 0.05 + 0.5, kClose);  // half a second idle: 50 MB
}

TEST(Tmpfs, CostsOneCopyByEachCaller) {
  const Json tmpfs = {{"kind", "tmpfs"}, {"capacity_bytes", 1'000'000'000}};
  const auto ends = ends_of(tmpfs, {{.io = read_of(10e6)}, {.io = write_of(20e6)}});
  EXPECT_NEAR(ends[0], 1e-3, kClose);
  EXPECT_NEAR(ends[1], 2e-3, kClose);
}

}  // namespace
}  // namespace kvsim
