#include "sim/store/disk_profile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/perf/model_files.hpp"

namespace kvsim {

namespace {

// A fixed cap and one by size: the smaller of those given, 0 when none is.
double smaller_cap(double fixed, double by_size, double most) {
  if (by_size > 0 && most > 0) by_size = std::min(by_size, most);
  if (fixed > 0 && by_size > 0) return std::min(fixed, by_size);
  return std::max(fixed, by_size);
}

void check_sources(const ConfigNode& node, const Json& figures,
                   const std::vector<FigureSource>& sources) {
  std::vector<std::string> named;
  for (const FigureSource& source : sources) {
    require_provenance(node.at("provenance"), source.provenance);
    named.insert(named.end(), source.figures.begin(), source.figures.end());
  }
  for (const auto& figure : figures.items())
    if (std::count(named.begin(), named.end(), figure.key()) != 1)
      node.at("provenance").fail("not one source of " + figure.key(), "one source of each figure");
  for (const std::string& name : named)
    if (!figures.contains(name))
      node.at("provenance").fail("a source of \"" + name + "\"", "names of figures");
}

}  // namespace

void NvmeFigures::check(const std::string& where) const {
  if (write_buffer > Bytes(0) && sustained_write <= Bandwidth(0))
    throw ConfigError(where +
                      ": found write_buffer_bytes without sustained_write_bytes_per_s; "
                      "allowed: both or neither");
  if (sustained_write > write)
    throw ConfigError(
        fmt::format("{}: found sustained_write_bytes_per_s {:g}; allowed: at most "
                    "write_bytes_per_s {:g}",
                    where, sustained_write.count(), write.count()));
}

double VolumeFigures::iops_cap() const {
  return smaller_cap(iops, iops_per_gb * capacity.real() / 1e9, iops_most);
}

Bandwidth VolumeFigures::rate_cap() const {
  return Bandwidth(
      smaller_cap(rate.count(), rate_per_gb * capacity.real() / 1e9, rate_most.count()));
}

void VolumeFigures::check(const std::string& where) const {
  if (iops_cap() <= 0 && rate_cap() <= Bandwidth(0))
    throw ConfigError(where +
                      ": found no cap; allowed: at least one of iops, iops_per_gb, "
                      "bytes_per_s, bytes_per_s_per_gb above 0");
  if ((burst > Bandwidth(0)) != (burst_credit > Bytes(0)))
    throw ConfigError(where +
                      ": found one of burst_bytes_per_s and burst_credit_bytes; allowed: "
                      "both or neither");
  if (burst > Bandwidth(0) && burst < rate_cap())
    throw ConfigError(where +
                      ": found burst_bytes_per_s below bytes_per_s; allowed: at least that");
}

void DiskProfile::check(const ConfigNode& node) const {
  if (nvme.has_value() == volume.has_value())
    node.fail("both or none of nvme and volume", "one of them");
  check_sources(node, nvme ? echo_config(*nvme) : echo_config(*volume), sources);
  if (nvme) nvme->check(node.file());
  if (volume) volume->check(node.file());
}

DiskProfile load_disk(const std::string& name) { return load_profile<DiskProfile>("disk", name); }

NvmeFigures load_nvme(const std::string& name) {
  const DiskProfile profile = load_disk(name);
  if (!profile.nvme)
    throw ConfigError("profile \"" + name + "\": found a volume; allowed: a drive (kind nvme)");
  return *profile.nvme;
}

VolumeFigures load_volume(const std::string& name) {
  const DiskProfile profile = load_disk(name);
  if (!profile.volume)
    throw ConfigError("profile \"" + name +
                      "\": found a drive; allowed: a volume (kind "
                      "cloud-volume)");
  return *profile.volume;
}

}  // namespace kvsim
