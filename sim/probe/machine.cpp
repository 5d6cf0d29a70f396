#include "sim/probe/machine.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The value of a line "KEY ... : VALUE".
std::string value_after(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::optional<double> ratio(const std::string& quota, const std::string& period) {
  const double above = std::atof(quota.c_str());
  const double below = std::atof(period.c_str());
  if (above <= 0 || below <= 0) return std::nullopt;
  return above / below;
}

// Cores that the control group grants; none when it sets no limit.
std::optional<double> core_quota() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string kind = line.substr(first + 1, second - first - 1);
    const fs::path path = line.substr(second + 2);
    std::optional<double> quota;
    if (kind.empty()) {
      std::istringstream words(first_line("/sys/fs/cgroup" / path / "cpu.max"));
      std::string most;
      std::string period;
      if (words >> most >> period) quota = ratio(most, period);
    } else if ((',' + kind + ',').find(",cpu,") != std::string::npos) {
      const fs::path folder = "/sys/fs/cgroup/cpu" / path;
      quota =
          ratio(first_line(folder / "cpu.cfs_quota_us"), first_line(folder / "cpu.cfs_period_us"));
    }
    if (quota) return quota;
  }
  return std::nullopt;
}

// "0-3,8": as the system writes lists.
std::vector<int> numbers_of(const std::string& list) {
  std::vector<int> out;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t dash = part.find('-');
    const int first = std::atoi(part.c_str());
    const int last = dash == std::string::npos ? first : std::atoi(part.c_str() + dash + 1);
    for (int number = first; number <= last; ++number) out.push_back(number);
  }
  return out;
}

}  // namespace

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  return out;
}

std::int64_t usable_cores() {
  auto cores = static_cast<std::int64_t>(allowed_cpus().size());
  if (cores == 0) cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (const std::optional<double> quota = core_quota())
    cores = std::min<std::int64_t>(cores, std::llround(*quota));
  return std::max<std::int64_t>(cores, 1);
}

Bytes last_level_cache() {
  constexpr std::int64_t kUsual = std::int64_t{32} << 20;
  std::int64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string text =
        first_line(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index));
    if (text.empty()) continue;
    const std::int64_t unit = text.back() == 'M' ? 1 << 20 : text.back() == 'K' ? 1 << 10 : 1;
    largest = std::max(largest, static_cast<std::int64_t>(std::atoll(text.c_str())) * unit);
  }
  return Bytes(largest > 0 ? largest : kUsual);
}

Bytes available_memory() {
  constexpr std::int64_t kUnit = 1024;  // stated in KiB
  return Bytes(std::atoll(value_after("/proc/meminfo", "MemAvailable").c_str()) * kUnit);
}

std::string processor_name() { return value_after("/proc/cpuinfo", "model name"); }

std::vector<MemoryNode> memory_nodes() {
  std::vector<MemoryNode> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/node", ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("node") || name.find_first_not_of("0123456789", 4) != std::string::npos)
      continue;
    MemoryNode node{std::atoi(name.c_str() + 4), numbers_of(first_line(entry.path() / "cpulist"))};
    if (!node.cpus.empty()) out.push_back(std::move(node));
  }
  std::sort(out.begin(), out.end(),
            [](const MemoryNode& a, const MemoryNode& b) { return a.number < b.number; });
  if (out.empty()) out.push_back({0, allowed_cpus()});
  return out;
}

void pin_to(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw EnvironmentError(
        fmt::format("cannot run on chosen cores (sched_setaffinity): {}", std::strerror(errno)));
}

}  // namespace kvsim
