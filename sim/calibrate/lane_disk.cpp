// A disk as experiments have it, used as the disk bench uses a real one: so many requests of one
// size in flight at random places, each followed by the next. Whatever plug-in `disk` names is
// used; fits are of the nvme one.
//
// Leaves out: the processor time of submitting (the bench has one submitter), what devices and
// hypervisors cache of a small file.
#include <algorithm>
#include <memory>
#include <string>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/calibrate/lane_disk_fit.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/disk.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

// Where the file lies: all that a position decides is which member of a stripe it hits.
constexpr std::uint64_t kPlaces = std::uint64_t{1} << 20;

double share_of_reads(const std::string& name) {
  if (name.starts_with("mix/")) return std::stod(name.substr(4)) / 100;
  return name.starts_with("read") ? 1 : 0;
}

Json part_of(const Figures& figures, const char* name, const Json& otherwise) {
  return figures.contains(name) ? figures.at(name) : otherwise;
}

std::unique_ptr<Disk> disk_of(Tasks& tasks, const Figures& figures) {
  const Json config = part_of(figures, "disk", "nvme");
  constexpr double kCopyRate = 10e9;  // for files in memory where no copies were measured
  const Json cpu = part_of(figures, "cpu", Json::object());
  const ConfigNode node(config, "figures", "/disk");
  const auto& entry = Registry<Disk>::instance().find(node);
  const Json full = entry.resolve(node);
  return entry.make(ConfigNode(full, "figures", "/disk"),
                    {.tasks = tasks,
                     .name = "disk",
                     .memory = Bandwidth(cpu.value("copy_bytes_per_s", kCopyRate))});
}

// Two measurements of one rate: what is sustained is at most what a burst reaches.
void keep_order(Json& disk) {
  const char* const kSustained = "sustained_write_bytes_per_s";
  if (!disk.contains(kSustained) || !disk.contains("write_bytes_per_s")) return;
  disk[kSustained] =
      std::min(disk[kSustained].get<double>(), disk["write_bytes_per_s"].get<double>());
}

// What callers of one operation share.
struct Run {
  Tasks& tasks;
  Disk& disk;
  BenchOperation operation;
  Seconds sum{0};
  std::int64_t count = 0;
  [[nodiscard]] Seconds mean() const { return sum / static_cast<double>(count); }
};

DiskIo draw(const BenchOperation& operation, Rng& rng) {
  const bool write = rng.uniform() >= share_of_reads(operation.name);
  const auto bytes = static_cast<std::uint64_t>(operation.bytes.count());
  return {.write = write, .bytes = operation.bytes, .position = rng.below(kPlaces) * bytes};
}

// The first and the last few do not count: others are not yet, or no longer, there.
Task one_caller(Run& run, std::uint64_t number, Seconds after, int counted, Countdown& left) {
  constexpr int kBeside = 4;
  Rng rng = stream(number, "calibrate/disk/" + run.operation.name);
  co_await run.tasks.sleep(after);
  for (int i = 0; i < kBeside + counted + kBeside; ++i) {
    const Seconds began = run.tasks.now();
    co_await run.disk.io(draw(run.operation, rng));
    if (i < kBeside || i >= kBeside + counted) continue;
    run.sum += run.tasks.now() - began;
    ++run.count;
  }
  left.one_less();
}

Task writer(Run& run, Bytes& begun, Bytes request, Countdown& left) {
  while (begun < run.operation.bytes) {
    const DiskIo io{
        .write = true, .bytes = request, .position = static_cast<std::uint64_t>(begun.count())};
    begun += request;
    co_await run.disk.io(io);
  }
  left.one_less();
}

// As the bench does it: eight requests of 4 MiB in flight.
Task write_all(Run& run) {
  constexpr std::int64_t kInFlight = 8;
  Countdown left(run.tasks, kInFlight);
  Bytes begun{0};
  const Seconds began = run.tasks.now();
  for (std::int64_t i = 0; i < kInFlight; ++i)
    run.tasks.start(writer(run, begun, Bytes(4 * kMiB), left));
  (void)co_await left.wait();
  run.sum = run.tasks.now() - began;
  run.count = 1;
}

// Callers begin one after another within `cycle`: not in step, for requests of a real disk take
// different times and do not stay so.
Task call_within(Run& run, Seconds cycle, int counted) {
  const std::int64_t callers = run.operation.at_once;
  run.sum = Seconds(0);
  run.count = 0;
  Countdown left(run.tasks, callers);
  for (std::int64_t i = 0; i < callers; ++i) {
    const Seconds after = cycle * (static_cast<double>(i) / static_cast<double>(callers));
    run.tasks.start(one_caller(run, static_cast<std::uint64_t>(i), after, counted, left));
  }
  (void)co_await left.wait();
}

// How long the callers take is known only when they have been at it, and depends a little on how
// far apart they begin: a few rounds until it does not change.
Task call_at_once(Run& run) {
  constexpr int kRounds = 6;
  constexpr int kPilot = 4;
  constexpr int kCounted = 32;
  Seconds cycle{0};
  for (int i = 0; i < kRounds; ++i) {
    co_await call_within(run, cycle, kPilot);
    cycle = i == 0 ? run.mean() : std::min(cycle, run.mean());
  }
  co_await call_within(run, cycle, kCounted);
}

class DiskLane : public LaneModel {
 public:
  using Options = NoOptions;
  DiskLane(const Options&, const Context&) {}

  [[nodiscard]] std::vector<BenchOperation> plan(bool full) const override {
    std::vector<BenchOperation> out;
    const auto add = [&out](const char* name, std::int64_t bytes,
                            std::initializer_list<std::int64_t> callers) {
      for (const std::int64_t at_once : callers) out.push_back({name, Bytes(bytes), at_once});
    };
    if (!full) {
      add("read", 4 * kKiB, {1, 4, 16});
      add("read", 64 * kKiB, {1, 16});
      add("read", 512 * kKiB, {1});
      add("read", kMiB, {1, 4, 16});
      add("read", 4 * kMiB, {1, 8});
      add("write", 4 * kKiB, {1, 16});
      add("write", 64 * kKiB, {4});
      add("write", kMiB, {1, 8});
      add("write", 4 * kMiB, {1});
      add("mix/70", 4 * kKiB, {16});
      return out;
    }
    for (const char* name : {"read", "write"}) {
      for (const std::int64_t kib : {4, 16, 64, 256, 1024, 4096})
        add(name, kib * kKiB, {1, 2, 4, 8, 16});
      add(name, 4 * kKiB, {64});
      add(name, 64 * kKiB, {64});
    }
    add("read/value", 16 * kMiB, {1, 2, 4});
    add("read/value", 64 * kMiB, {1});
    add("write/value", 16 * kMiB, {1, 4});
    add("mix/70", 4 * kKiB, {4, 16, 64});
    add("mix/70", kMiB, {4, 16});
    add("write/sustained", 32 * kKiB * kMiB, {1});
    return out;
  }

  [[nodiscard]] std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                              Figures& figures) const override {
    Json disk = part_of(figures, "disk", Json::object());
    // What is known of another sort of disk says nothing of this one.
    if (!disk.is_object() || disk.value("kind", "") != "nvme")
      disk = {{"kind", "nvme"}, {"profile", ""}};
    constexpr double kRequest = 524'288;
    DiskFit found = fit_disk(samples, disk.value("request_bytes", kRequest));
    for (FittedFigure& figure : found.figures) {
      disk[figure.path] = figure.path == "write_buffer_bytes"
                              ? Json(static_cast<std::int64_t>(figure.value))
                              : Json(figure.value);
      figure.path = "/disk/" + figure.path;
    }
    keep_order(disk);
    if (!found.figures.empty()) figures["disk"] = disk;
    return std::move(found.figures);
  }

  [[nodiscard]] Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
                         Seconds& mean) const override {
    const std::unique_ptr<Disk> disk = disk_of(tasks, figures);
    Run own{tasks, *disk, operation};
    if (operation.name == "write/sustained")
      co_await write_all(own);
    else
      co_await call_at_once(own);
    mean = own.mean();
  }
};

const Register<LaneModel, DiskLane> kRegistered("disk", "A disk plug-in with requests in flight.");

}  // namespace

}  // namespace kvsim
