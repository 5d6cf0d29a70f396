#include "sim/validate/storage_study.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/quantile.hpp"
#include "sim/validate/template.hpp"

namespace kvsim {

namespace {

constexpr std::array<std::string_view, 3> kLoads = {"read", "write", "mixed"};

// What a metric's name says.
struct Asked {
  std::string_view load;
  std::string_view side;
  std::string_view quantity;
};

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word) || !text.substr(word.size()).starts_with("_")) return false;
  text.remove_prefix(word.size() + 1);
  return true;
}

Asked read_metric(std::string_view metric, const StorageCaseConfig& config) {
  Asked out{config.load, config.side, metric};
  if (take(out.quantity, "mixed")) out.load = "mixed";
  for (const std::string_view side : {"read", "write"}) {
    if (!take(out.quantity, side)) continue;
    if (out.load != "mixed" || !metric.starts_with("mixed")) out.load = side;
    out.side = side;
  }
  return out;
}

std::optional<double> seconds_per(std::string_view unit) {
  if (unit == "s") return 1.0;
  if (unit == "ms") return 1e-3;
  if (unit == "us") return 1e-6;
  return std::nullopt;
}

std::optional<double> bytes_per(std::string_view unit, double megabyte) {
  if (unit == "B/s") return 1.0;
  if (unit == "MB/s") return megabyte;
  if (unit == "GB/s") return megabyte * 1e3;
  if (unit == "MiB/s") return 1048576.0;
  if (unit == "GiB/s") return 1073741824.0;
  return std::nullopt;
}

std::optional<double> latency(const std::vector<double>& ascending, std::string_view stat) {
  if (ascending.empty()) return std::nullopt;
  if (stat == "mean")
    return std::accumulate(ascending.begin(), ascending.end(), 0.0) /
           static_cast<double>(ascending.size());
  if (stat == "median") return quantile(ascending, 0.5);
  if (stat == "max") return ascending.back();
  if (stat.starts_with("p")) {
    const int percent = std::atoi(std::string(stat.substr(1)).c_str());
    if (percent > 0 && percent < 100) return quantile(ascending, percent / 100.0);
  }
  return std::nullopt;
}

}  // namespace

StorageStudy::StorageStudy(const Json& study, const std::string& file,
                           const std::vector<const ValidationCase*>& cases, std::uint64_t seed) {
  const ConfigNode root(study, file);
  if (!root.has("disk")) root.fail("no \"disk\"", "it in a template of kind \"disk\"");
  std::vector<StorageLoad> loads;
  Patterns patterns;
  for (const ValidationCase* row : cases) {
    const Json filled = fill_template(root.at("disk"), {{row}, Json(), ""}, patterns);
    Case made;
    made.config = read_config<StorageCaseConfig>(ConfigNode(filled, file, "/disk"));
    made.first = loads.size();
    for (const double reads : {1.0, 0.0, made.config.mixed_reads})
      loads.push_back({.disk = made.config.disk,
                       .request = made.config.request,
                       .jobs = made.config.jobs,
                       .reads = reads,
                       .duration = made.config.duration});
    cases_.emplace(row->id(), std::move(made));
  }
  outcomes_ = run_storage(loads, seed);
}

std::optional<double> StorageStudy::measure(std::string_view case_id, std::string_view metric,
                                            std::string_view stat, std::string_view unit) const {
  const auto found = cases_.find(case_id);
  if (found == cases_.end()) return std::nullopt;
  const StorageCaseConfig& config = found->second.config;
  const Asked asked = read_metric(metric, config);
  const auto* const load = std::find(kLoads.begin(), kLoads.end(), asked.load);
  const StorageOutcome& outcome =
      outcomes_[found->second.first + static_cast<std::size_t>(load - kLoads.begin())];
  const StorageSide& side = asked.side == "read" ? outcome.read : outcome.write;
  if (asked.quantity == "iops" && unit == "1/s") return side.requests_per_s;
  if (asked.quantity == "bandwidth") {
    const auto bytes = bytes_per(unit, config.megabyte);
    return bytes ? std::optional(side.bytes_per_s / *bytes) : std::nullopt;
  }
  const auto scale = seconds_per(unit);
  const auto seconds = asked.quantity == "latency" ? latency(side.latencies_s, stat) : std::nullopt;
  return scale && seconds ? std::optional(*seconds / *scale) : std::nullopt;
}

}  // namespace kvsim
