// Room, wear, options and profiles of disks.
#include <fstream>
#include <iterator>

#include "sim/perf/model_files.hpp"
#include "sim/store/disk_profile.hpp"
#include "sim/store/disk_wear.hpp"
#include "tests/disk_world.hpp"

namespace kvsim {
namespace {

Json resolved(const Json& config) {
  const ConfigNode node(config, "test");
  return Registry<Disk>::instance().find(node).resolve(node);
}

TEST(DiskProfiles, EveryFileHasItsNameAndIsMadeIntoADisk) {
  for (const std::string& name : model_names("disk")) {
    const DiskProfile profile = load_disk(name);
    EXPECT_EQ(profile.name, name);
    const char* kind = profile.nvme ? "nvme" : "cloud-volume";
    EXPECT_NO_THROW(resolved({{"kind", kind}, {"profile", name}})) << name;
  }
  EXPECT_EQ(model_names("disk").size(), 12U);
}

TEST(DiskProfiles, EveryFileHasARowInTheReadme) {
  std::ifstream in(models_folder() + "/README.md");
  const std::string readme(std::istreambuf_iterator<char>(in), {});
  for (const std::string& name : model_names("disk"))
    EXPECT_NE(readme.find("`disk/" + name + ".json`"), std::string::npos) << name;
}

TEST(DiskProfiles, AFigureWithoutASourceIsRefused) {
  const std::string text = R"({"schema": "kvsim.disk/1", "name": "x", "nvme": {}, "provenance": [
      {"of": ["read_iops"], "source": "somewhere", "kind": "datasheet"}]})";
  const Json json = parse_json(text, "x.json");
  const ConfigNode node(json, "x.json");
  const auto profile = read_config<DiskProfile>(node);
  EXPECT_THROW(profile.check(node), ConfigError);
}

TEST(DiskOptions, WhatIsGivenReplacesTheProfiles) {
  const Json options =
      resolved({{"kind", "nvme"}, {"profile", "micron-7450"}, {"capacity_bytes", 5}});
  EXPECT_EQ(options["capacity_bytes"], 5);
  EXPECT_EQ(options["read_bytes_per_s"], load_nvme("micron-7450").read.count());
  // What is echoed means the same when it is read again.
  EXPECT_EQ(resolved(options), options);
}

TEST(DiskOptions, MembersAreCheckedBeforeTimeStarts) {
  EXPECT_THROW(resolved({{"kind", "raid0"}}), ConfigError);
  EXPECT_THROW(resolved({{"kind", "raid0"}, {"of", {{"kind", "nvme"}, {"profil", "x"}}}}),
               ConfigError);
  const Json options = resolved({{"kind", "raid0"}, {"of", "nvme"}});
  EXPECT_EQ(options["of"]["profile"], "nvme-15tb-pcie4");
  EXPECT_EQ(resolved(options), options);
}

TEST(DiskOptions, ContradictionsAreRefused) {
  EXPECT_THROW(resolved({{"kind", "nvme"}, {"write_buffer_bytes", 1}}), ConfigError);
  EXPECT_THROW(resolved({{"kind", "nvme"}, {"sustained_write_bytes_per_s", 1e12}}), ConfigError);
  EXPECT_THROW(resolved("cloud-volume"), ConfigError);
  EXPECT_THROW(resolved({{"kind", "nvme"}, {"profile", "ibm-vpc-block-10iops"}}), ConfigError);
  EXPECT_THROW(resolved({{"kind", "cloud-volume"}, {"profile", "micron-7450"}}), ConfigError);
}

TEST(DiskUse, SmallWritesWearMoreThanLargeOnes) {
  in_child([] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, round_drive());
    std::vector<Call> calls = {{.io = write_of(1e6)}, {.io = write_of(1e4)}, {.io = read_of(5e5)}};
    run_calls(world, tasks, *disk, calls);
    EXPECT_EQ(disk->use().read, Bytes(500'000));
    EXPECT_EQ(disk->use().written, Bytes(1'010'000));
    EXPECT_EQ(disk->use().written_flash, Bytes(1'000'000 + 4 * 10'000));
  });
}

TEST(DiskUse, AStripeHoldsAndWearsAllItsMembers) {
  in_child([] {
    World world;
    Tasks tasks(world);
    Json larger = round_drive({{"capacity_bytes", 3'000'000'000'000}});
    larger["drive_writes_per_day"] = 3;
    const auto disk = make_disk(tasks, {{"kind", "raid0"}, {"members", {round_drive(), larger}}});
    std::vector<Call> calls = {{.io = write_of(8 << 20)}};
    run_calls(world, tasks, *disk, calls);
    EXPECT_EQ(disk->use().capacity, Bytes(2'000'000'000'000));  // twice the smaller
    EXPECT_EQ(disk->use().written, Bytes(8 << 20));
    EXPECT_EQ(disk->use().written_flash, Bytes(8 << 20));
    EXPECT_EQ(disk->use().rated_drive_writes_per_day, 1);
    ASSERT_EQ(disk->resources().size(), 2U);
    EXPECT_EQ(disk->resources()[1].name, "disk.1");
    EXPECT_EQ(disk->resources()[1].bytes, Bytes(4 << 20));
  });
}

TEST(DiskWear, YearsFollowFromWritesADay) {
  // Half a drive in a quarter of a day: two drive writes a day against one rated over five years.
  const DiskUse use{
      .written = Bytes(500), .capacity = Bytes(1000), .rated_drive_writes_per_day = 1};
  const DiskWear wear = wear_of(use, Seconds(21'600));
  EXPECT_DOUBLE_EQ(wear.drive_writes_per_day, 2);
  EXPECT_DOUBLE_EQ(wear.rated_share, 2);
  EXPECT_DOUBLE_EQ(wear.years, 2.5);
  EXPECT_EQ(wear_of({.capacity = Bytes(1)}, Seconds(1)).years, 0);
}

TEST(DiskSpeed, AWhatIfScalesRatesAndLatencies) {
  in_child([] {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, round_drive({{"large_read_s", 1e-3}}), true, 1, 4);
    std::vector<Call> calls = {{.io = read_of(2e6)}};
    run_calls(world, tasks, *disk, calls);
    EXPECT_NEAR(calls[0].end, (100e-6 + 1e-3 + 2e-3) / 4, 1e-9);
    EXPECT_DOUBLE_EQ(disk->rate(false).count(), 4e9);
  });
}

Task slow_down(Tasks& tasks, Disk& disk, double after, double share) {
  co_await tasks.sleep(Seconds(after));
  disk.set_speed(share);
}

// When one call ended, on a disk whose speed changes at these times.
double end_of(const Json& config, const DiskIo& io,
              const std::vector<std::pair<double, double>>& shares) {
  return numbers_of_child([&]() -> std::vector<double> {
    World world;
    Tasks tasks(world);
    const auto disk = make_disk(tasks, config);
    std::vector<Call> calls = {{.io = io}};
    for (const auto& [at, share] : shares) tasks.start(slow_down(tasks, *disk, at, share));
    run_calls(world, tasks, *disk, calls);
    return {calls[0].end};
  })[0];
}

TEST(DiskSpeed, ASlowDiskTakesLongerForEverything) {
  const Json drive = round_drive({{"large_read_s", 1e-3}});
  EXPECT_NEAR(end_of(drive, read_of(2e6), {{0, 0.25}}), (100e-6 + 1e-3 + 2e-3) * 4, 1e-9);
  EXPECT_NEAR(end_of({{"kind", "raid0"}, {"of", drive}}, read_of(2 << 20), {{0, 0.25}}),
              (100e-6 + 1e-3 + (1 << 20) / 1e9) * 4, 1e-9);
}

TEST(DiskSpeed, ACallUnderWaySlowsDownAndRecovers) {
  // 100 us, then 1 GB at 1 GB/s: half is left after 0.5001 s.
  const DiskIo io = read_of(1e9);
  EXPECT_NEAR(end_of(round_drive(), io, {{0.5001, 0.1}}), 5.5001, 1e-9);
  EXPECT_NEAR(end_of(round_drive(), io, {{0.5001, 0.1}, {1.5001, 1}}), 1.9001, 1e-9);
}

TEST(DiskSpeed, AStreamOfSmallRequestsWaitsLongerForEach) {
  DiskIo io = read_of(4096 * 1000);
  io.request = Bytes(4096);
  io.depth = 1;
  const double whole = end_of(round_drive(), io, {});
  EXPECT_NEAR(end_of(round_drive(), io, {{0, 0.5}}), 2 * whole, 1e-9);
}

}  // namespace
}  // namespace kvsim
