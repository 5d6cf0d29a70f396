#include "sim/store/host.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvsim {

namespace {
// A copy reads every byte and writes it.
constexpr double kTraffic = 2;
}  // namespace

void Dram::hold(const std::string& who, Bytes bytes) {
  if (bytes == Bytes(0)) return;
  holders_.push_back({who, bytes});
  if (total_ == Bytes(0) || held() <= total_) return;
  std::string list;
  for (const Holder& holder : holders_)
    list += fmt::format("{}{} {:.3g} GB", list.empty() ? "" : ", ", holder.who,
                        holder.bytes.real() / 1e9);
  throw ConfigError(
      fmt::format("DRAM of {}: found {:.3g} GB ({}); allowed: at most its {:.3g} GB (dram_bytes)",
                  host_, held().real() / 1e9, list, total_.real() / 1e9));
}

Bytes Dram::held() const {
  Bytes sum{0};
  for (const Holder& holder : holders_) sum += holder.bytes;
  return sum;
}

Bytes Dram::left() const { return std::max(Bytes(0), total_ - held()); }

Host::Host(Tasks& tasks, std::string name, const CpuOptions& cpu, Bytes dram)
    : tasks_(tasks),
      name_(std::move(name)),
      cpu_(cpu),
      dram_(name_, dram),
      processor_(tasks, name_,
                 {.cores = static_cast<double>(cpu.cores),
                  .copy = Bandwidth(cpu.copy.count() * kTraffic),
                  .memory = cpu.memory}) {}

Task Host::copy(Bytes bytes, double copies) {
  LiveFlight flight(tasks_, live_, LiveLane::kHostCopy);
  if (!live_.drives(LiveLane::kHostCopy))
    co_await processor_.copy(bytes.real() * copies * kTraffic);
  co_await flight.end("copy", Bytes(static_cast<std::int64_t>(bytes.real() * copies)));
}

void Host::add_disk(const std::string& name, std::unique_ptr<Disk> disk) {
  disks_.push_back({name, std::move(disk)});
}

Disk* Host::disk(const std::string& name) {
  for (NamedDisk& candidate : disks_)
    if (candidate.name == name) return candidate.disk.get();
  return nullptr;
}

std::vector<std::string> Host::disk_names() const {
  std::vector<std::string> out;
  for (const NamedDisk& disk : disks_) out.push_back(disk.name);
  return out;
}

std::vector<ResourceUse> Host::resources() const {
  std::vector<ResourceUse> out = processor_.use_so_far();
  for (const NamedDisk& disk : disks_)
    for (ResourceUse& use : disk.disk->resources()) out.push_back(std::move(use));
  return out;
}

}  // namespace kvsim
