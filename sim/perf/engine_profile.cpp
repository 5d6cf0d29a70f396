#include "sim/perf/engine_profile.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "sim/perf/model_files.hpp"

namespace kvsim {

EngineVersion EngineVersion::parse(const std::string& text) {
  EngineVersion version;
  const char* start = text.c_str();
  if (*start == 'v') ++start;
  if (std::sscanf(start, "%d.%d", &version.major, &version.minor) != 2 || version.major < 0 ||
      version.minor < 0)
    throw ConfigError(
        fmt::format("engine version: found \"{}\"; allowed: a version such as 0.15", text));
  return version;
}

void EngineProfile::check(const ConfigNode& node) const {
  if (versions.empty()) node.fail("no versions", "at least one entry");
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const ConfigNode entry = node.at("versions").at(i);
    require_provenance(entry.at("provenance"), versions[i].provenance);
    if (i > 0 && EngineVersion::parse(versions[i].from_version) <=
                     EngineVersion::parse(versions[i - 1].from_version))
      entry.fail("versions out of order", "rising from_version");
  }
}

const EngineOverheads& EngineProfile::overheads(const std::string& version) const {
  const EngineVersion wanted = EngineVersion::parse(version);
  const EngineOverheads* best = nullptr;
  for (const EngineOverheads& entry : versions)
    if (EngineVersion::parse(entry.from_version) <= wanted) best = &entry;
  if (best == nullptr)
    throw ConfigError(fmt::format("engine {}: found version {}; allowed: {} or later", name,
                                  version, versions.front().from_version));
  return *best;
}

EngineProfile load_engine(const std::string& name) {
  return load_profile<EngineProfile>("engine", name);
}

}  // namespace kvsim
