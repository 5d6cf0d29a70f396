// Copies in a machine's memory by Host: one thread's rate, the bandwidth of all together, cores
// that copies hold, and pages that were never touched before.
//
// What one thread reaches follows from callers alone; what all reach together says the memory
// bandwidth, where cores end before memory no more than what the cores can use. Left out: caches
// (small copies of warm data are faster), distances between NUMA nodes, which the bench measures
// (copy/numa-A-B) and no component tells apart.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/twin_callers.hpp"
#include "sim/probe/machine.hpp"
#include "sim/store/host.hpp"

namespace kvsim {
namespace {

constexpr const char* kCopy = "copy";
constexpr const char* kFresh = "copy/fresh";
constexpr double kTraffic = 2;  // a copy reads every byte and writes it
constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;

double cores_of(const std::vector<Sample>& samples) {
  for (const Sample& sample : samples)
    if (const auto cores = sample.seen("cores")) return *cores;
  return static_cast<double>(usable_cores());
}

class HostCopyModel final : public LaneModel {
 public:
  using Options = NoOptions;
  HostCopyModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool full) const override {
    std::vector<std::int64_t> sizes = {64 * kKiB, kMiB, 8 * kMiB, 32 * kMiB};
    std::vector<std::int64_t> fresh = {256 * kKiB, 4 * kMiB, 32 * kMiB};
    if (full) {
      sizes.insert(sizes.end(), {256 * kKiB, 128 * kMiB});
      fresh.insert(fresh.end(), {64 * kKiB, 128 * kMiB});
    }
    std::vector<BenchOperation> out;
    for (const std::int64_t at_once : {1, 2, 4, 8, 16}) {
      for (const std::int64_t bytes : sizes) out.push_back({kCopy, Bytes(bytes), at_once});
      if (!full && (at_once == 2 || at_once == 8)) continue;
      for (const std::int64_t bytes : fresh) out.push_back({kFresh, Bytes(bytes), at_once});
    }
    return out;
  }

  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override {
    const double cores = cores_of(samples);
    figures["cpu"]["cores"] = static_cast<std::int64_t>(cores);
    std::vector<FittedFigure> out = {{"/cpu/cores", cores, cores, cores}};
    const auto add = [&out](const std::vector<FittedFigure>& more) {
      out.insert(out.end(), more.begin(), more.end());
    };
    add(fit_copies(undisturbed(samples_of(samples, kCopy), 1, cores), cores, figures));
    add(fit_fresh(undisturbed(samples_of(samples, kFresh), 1, cores), figures));
    return out;
  }

  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    const auto cpu = read_config<CpuOptions>(ConfigNode(figures_at(figures, "cpu"), "cpu"));
    Host host(tasks, "twin", cpu, Bytes(0));
    const bool fresh = operation.name == kFresh;
    const std::function<Task(std::int64_t)> once = [&](std::int64_t) {
      return copy(host, operation.bytes, fresh);
    };
    constexpr std::int64_t kEach = 3;
    co_await run_callers(tasks, operation.at_once, kEach, once, mean);
  }

 private:
  static Task copy(Host& host, Bytes bytes, bool fresh) {
    if (fresh) co_await host.touch(bytes);
    co_await host.copy(bytes, 1);
  }

  // One caller's copies say the thread's rate; then all say where memory ends.
  static std::vector<FittedFigure> fit_copies(const std::vector<Sample>& samples, double cores,
                                              Figures& figures) {
    constexpr const char* kMemory = "/cpu/memory_bytes_per_s";
    std::vector<Sample> alone = samples;
    std::erase_if(alone, [](const Sample& sample) { return sample.operation.at_once > 1; });
    const Law thread = [](const BenchOperation& operation, std::span<const double> values) {
      return operation.bytes.real() / values[0];
    };
    std::vector<FittedFigure> out =
        fit_law(alone, thread, {{"/cpu/copy_bytes_per_s", 8e9}}, figures);
    if (out.empty()) return out;
    const double copy = out[0].value;
    const Law together = [=](const BenchOperation& operation, std::span<const double> values) {
      const auto callers = static_cast<double>(operation.at_once);
      const double traffic = std::min(values[0], kTraffic * copy * std::min(callers, cores));
      return kTraffic * callers * operation.bytes.real() / traffic;
    };
    const double most = kTraffic * copy * cores;
    FittedFigure memory = fit_law(samples, together, {{kMemory, most / 2}}, figures)[0];
    // More than the cores can use was not seen.
    for (double* value : {&memory.value, &memory.low, &memory.high})
      *value = std::min(*value, most);
    figures[Json::json_pointer(kMemory)] = memory.value;
    out.push_back(memory);
    return out;
  }

  static std::vector<FittedFigure> fit_fresh(std::vector<Sample> samples, Figures& figures) {
    const auto cpu = read_config<CpuOptions>(ConfigNode(figures_at(figures, "cpu"), "cpu"));
    std::erase_if(samples, [](const Sample& sample) { return sample.operation.at_once > 1; });
    const Law law = [&](const BenchOperation& operation, std::span<const double> values) {
      return operation.bytes.real() / values[0] + operation.bytes.real() / cpu.copy.count();
    };
    return fit_law(samples, law, {{"/cpu/fresh_bytes_per_s", 2e9}}, figures);
  }
};

const Register<LaneModel, HostCopyModel> kRegistered("host_copy",
                                                     "Copies in memory: Host's cores and memory.");

}  // namespace
}  // namespace kvsim
