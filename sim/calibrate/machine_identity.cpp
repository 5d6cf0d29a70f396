#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "sim/calibrate/calibration.hpp"
#include "sim/probe/machine.hpp"

namespace kvsim {

namespace {

// The value of the first line "KEY<separator> VALUE" of a file; "" when there is none.
std::string value_in(const char* file, const std::string& key, char separator) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    const std::size_t from = line.find_first_not_of(" \t\"", at + 1);
    if (from == std::string::npos) continue;
    return line.substr(from, line.find_last_not_of(" \t\"") - from + 1);
  }
  return "";
}

}  // namespace

Json machine_identity() {
  utsname system{};
  uname(&system);
  const auto pages = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES));
  return {
      {"processor", processor_name()},
      {"cores", usable_cores()},
      {"memory_bytes", pages * sysconf(_SC_PAGESIZE)},
      {"kernel", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
      {"system", value_in("/etc/os-release", "PRETTY_NAME", '=')},
      {"virtual", value_in("/proc/cpuinfo", "flags", ':').find("hypervisor") != std::string::npos},
      {"compiler", __VERSION__},
      {"optimised",
#ifdef NDEBUG
       true
#else
       false
#endif
      }};
}

}  // namespace kvsim
