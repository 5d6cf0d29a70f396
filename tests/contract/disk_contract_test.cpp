// What every disk must keep to.
#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/disk_world.hpp"

namespace kvsim {
namespace {

// A configuration of each registered kind: a kind without one here has to work without options.
Json config_of(const std::string& kind) {
  if (kind == "raid0") return {{"kind", kind}, {"of", "nvme"}, {"count", 3}};
  if (kind == "tmpfs") return {{"kind", kind}, {"capacity_bytes", 1'000'000'000}};
  if (kind == "cloud-volume") return {{"kind", kind}, {"profile", "ibm-vpc-block-10iops"}};
  return kind;
}

class EveryDisk : public testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] Json config() const { return config_of(GetParam()); }
};

// Random calls: sizes from one byte to 32 MiB, some with a window or cap of their own.
std::vector<Call> random_calls(std::uint64_t seed, int count) {
  Rng rng(seed);
  std::vector<Call> calls;
  for (int i = 0; i < count; ++i) {
    Call call{.after = rng.uniform() * 0.1};
    call.io.write = rng.uniform() < 0.4;
    call.io.bytes = Bytes(static_cast<std::int64_t>(std::exp2(25 * rng.uniform())));
    call.io.position = rng.below(1ULL << 40);
    if (rng.uniform() < 0.3) {
      call.io.request = Bytes(static_cast<std::int64_t>(std::exp2(12 + 10 * rng.uniform())));
      call.io.depth = 1 + static_cast<std::int64_t>(rng.below(16));
    }
    if (rng.uniform() < 0.2) call.io.most = Bandwidth(1e9);
    calls.push_back(call);
  }
  return calls;
}

TEST_P(EveryDisk, ConcurrentCallersAllFinishAndBytesAreConserved) {
  in_child([this] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config());
    std::vector<Call> calls = random_calls(1, 300);
    run_calls(world, tasks, *disk, calls);
    Bytes read{0};
    Bytes written{0};
    for (const Call& call : calls) {
      EXPECT_GE(call.end, call.after);
      (call.io.write ? written : read) += call.io.bytes;
    }
    EXPECT_EQ(disk->use().read, read);
    EXPECT_EQ(disk->use().written, written);
    Bytes moved{0};
    for (const ResourceUse& resource : disk->resources()) moved += resource.bytes;
    EXPECT_EQ(moved, read + written);
    EXPECT_EQ(tasks.running(), 0U);
  });
}

TEST_P(EveryDisk, NothingIsFasterThanItsRate) {
  for (const bool deterministic : {true, false}) {
    for (const double bytes : {1.0, 4096.0, 1e6, 1e8}) {
      for (const bool write : {false, true}) {
        const auto times = numbers_of_child([&]() -> std::vector<double> {
          World world;
          Tasks tasks(world);
          const auto disk = make_disk(tasks, config(), deterministic);
          std::vector<Call> calls = {{.io = write ? write_of(bytes) : read_of(bytes)}};
          run_calls(world, tasks, *disk, calls);
          return {calls[0].end, disk->rate(write).count()};
        });
        // A lucky draw may be shorter than the mean.
        const double luck = deterministic ? 1 : 0.5;
        EXPECT_GE(times[0], luck * bytes / times[1] * (1 - 1e-9)) << bytes << " " << write;
      }
    }
  }
}

TEST_P(EveryDisk, ALongReadReachesItsRate) {
  const auto times = numbers_of_child([&]() -> std::vector<double> {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config());
    std::vector<Call> calls = {{.io = read_of(1e10)}};
    run_calls(world, tasks, *disk, calls);
    return {1e10 / calls[0].end, disk->rate(false).count()};
  });
  EXPECT_NEAR(times[0] / times[1], 1, 0.01);
}

TEST_P(EveryDisk, MoreBytesNeverTakeLess) {
  double before = 0;
  for (const double bytes : {1.0, 4e3, 1e5, 5e5, 1e6, 1.2e6, 1e7}) {
    const double time = ends_of(config(), {{.io = read_of(bytes)}})[0];
    EXPECT_GE(time, before) << bytes;
    before = time;
  }
}

TEST_P(EveryDisk, ZeroBytesTakeNoTime) {
  EXPECT_EQ(ends_of(config(), {{.after = 1, .io = read_of(0)}})[0], 1);
}

TEST_P(EveryDisk, ACallersCapHolds) {
  for (const double bytes : {1e5, 3e7}) {
    DiskIo io = read_of(bytes);
    io.most = Bandwidth(1e8);
    EXPECT_GE(ends_of(config(), {{.io = io}})[0], bytes / 1e8 * (1 - 1e-9));
  }
}

TEST_P(EveryDisk, AtHalfItsSpeedTakesTwiceAsLong) {
  for (const double bytes : {4096.0, 1e8}) {
    in_child([this, bytes] {
      World world;
      Tasks tasks(world);
      const auto disk = make_disk(tasks, config());
      const auto slow = make_disk(tasks, config());
      const Bandwidth rate = slow->rate(false);
      slow->set_speed(0.5);
      std::vector<Call> calls = {{.io = read_of(bytes)}, {.io = read_of(bytes)}};
      tasks.start(run_call(tasks, *disk, calls[0]));
      tasks.start(run_call(tasks, *slow, calls[1]));
      world.run();
      EXPECT_NEAR(calls[1].end / calls[0].end, 2, 1e-9);
      EXPECT_DOUBLE_EQ(slow->rate(false).count(), rate.count() / 2);
      slow->set_speed(1);
      EXPECT_EQ(slow->rate(false), rate);
    });
  }
}

TEST_P(EveryDisk, SpaceIsTakenUntilItIsFullAndGivenBack) {
  in_child([this] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config());
    const Bytes capacity = disk->use().capacity;
    ASSERT_GT(capacity, Bytes(0));
    EXPECT_TRUE(disk->take_space(capacity - Bytes(1)));
    EXPECT_FALSE(disk->take_space(Bytes(2)));
    EXPECT_EQ(disk->use().used, capacity - Bytes(1));
    EXPECT_TRUE(disk->take_space(Bytes(1)));
    disk->give_space(capacity);
    EXPECT_EQ(disk->use().used, Bytes(0));
  });
}

TEST_P(EveryDisk, TheSameSeedGivesTheSameTimes) {
  const auto calls = random_calls(2, 100);
  EXPECT_EQ(ends_of(config(), calls, false, 7), ends_of(config(), calls, false, 7));
  EXPECT_EQ(ends_of(config(), calls, true, 7), ends_of(config(), calls, true, 8));
}

TEST_P(EveryDisk, IsNeverBusierThanTheTimeThatPassed) {
  in_child([this] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config());
    std::vector<Call> calls = {{.io = read_of(1e8)}};
    run_calls(world, tasks, *disk, calls);
    for (const ResourceUse& resource : disk->resources()) {
      EXPECT_GT(resource.busy, Seconds(0)) << resource.name;
      EXPECT_LE(resource.busy.count(), tasks.now().count() * (1 + 1e-9)) << resource.name;
      EXPECT_EQ(resource.kind, "disk");
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Registered, EveryDisk,
                         testing::ValuesIn(Registry<Disk>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace kvsim
