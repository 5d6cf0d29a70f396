#include "sim/report/sweep_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "sim/report/compare.hpp"

namespace kvsim {

namespace {

constexpr const char* kSchema = "kvsim.sweep/1";
constexpr std::size_t kMostPoints = 1'000'000;

void check_keys(const ConfigNode& sweep) {
  const std::vector<std::string> known = {"schema", "experiment", "grid", "points"};
  sweep.expect_object();
  for (const auto& item : sweep.json().items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      sweep.fail(fmt::format("the unknown key \"{}\"", item.key()), join_names(known));
  }
  for (const char* key : {"schema", "experiment"}) {
    if (!sweep.has(key))
      sweep.fail(fmt::format("no \"{}\"", key), fmt::format("an object with \"{}\"", key));
  }
  if (sweep.at("schema").json() != kSchema)
    sweep.at("schema").fail(sweep.at("schema").found(), fmt::format("\"{}\"", kSchema));
}

void expect_pointer(const ConfigNode& node, const std::string& key) {
  if (key.empty() || key.front() != '/')
    node.fail(fmt::format("the key \"{}\"", key),
              "JSON pointers into the experiment, such as \"/load/rate_per_s\"");
}

// Lets every point take each of the values of one more pointer.
std::vector<Json> multiply(const std::vector<Json>& points, const std::string& pointer,
                           const Json& values) {
  std::vector<Json> out;
  out.reserve(points.size() * values.size());
  for (const Json& point : points) {
    for (const Json& value : values) {
      out.push_back(point);
      out.back()[pointer] = value;
    }
  }
  return out;
}

std::vector<Json> grid_points(const ConfigNode& grid) {
  grid.expect_object();
  std::vector<Json> points = {Json::object()};
  for (const auto& item : grid.json().items()) {
    expect_pointer(grid, item.key());
    const ConfigNode values = grid.at(item.key());
    values.expect_array();
    if (values.json().empty()) values.fail("an empty list", "a list of at least one value");
    if (points.size() * values.json().size() > kMostPoints)
      grid.fail("more points than a sweep may have", fmt::format("at most {}", kMostPoints));
    points = multiply(points, item.key(), values.json());
  }
  return points;
}

std::optional<std::size_t> to_number(std::string_view text) {
  std::size_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string csv_value(const Json& value) {
  return csv_field(value.is_string() ? value.get<std::string>() : value.dump());
}

}  // namespace

std::string SweepPoint::name() const { return fmt::format("point-{:04}", index); }

SweepPlan read_sweep(const ConfigNode& sweep) {
  check_keys(sweep);
  SweepPlan plan;
  plan.experiment = sweep.resolve_path(sweep.at("experiment").text());
  std::vector<Json> all;
  if (sweep.has("grid")) all = grid_points(sweep.at("grid"));
  if (sweep.has("points")) {
    const ConfigNode points = sweep.at("points");
    points.expect_array();
    for (std::size_t i = 0; i < points.json().size(); ++i) {
      const ConfigNode point = points.at(i);
      point.expect_object();
      for (const auto& item : point.json().items()) expect_pointer(point, item.key());
      all.push_back(point.json());
    }
  }
  if (all.empty() || all.size() > kMostPoints)
    sweep.fail(fmt::format("{} points", all.size()),
               fmt::format("\"grid\" or \"points\" that make 1 to {} points", kMostPoints));
  std::set<std::string> seen;
  for (Json& overrides : all) {
    for (const auto& item : overrides.items()) {
      if (seen.insert(item.key()).second) plan.pointers.push_back(item.key());
    }
    plan.points.push_back({plan.points.size(), std::move(overrides)});
  }
  return plan;
}

Shard read_shard(const std::string& flag, const std::function<const char*(const char*)>& variable) {
  const auto from_environment = [&](const char* name) -> std::optional<std::size_t> {
    const char* const text = variable(name);
    if (text == nullptr) return std::nullopt;
    const std::optional<std::size_t> value = to_number(text);
    if (!value) throw ConfigError(fmt::format("{}: found {}; allowed: a whole number", name, text));
    return value;
  };
  const auto fail = [&](const std::string& why) {
    throw ConfigError(fmt::format(
        "--shard: found {}; allowed: I/N with 1 <= I <= N, or N in a Slurm job array or a "
        "Kubernetes Indexed Job",
        why));
  };
  std::optional<std::size_t> index = from_environment("JOB_COMPLETION_INDEX");
  const bool in_kubernetes = index.has_value();
  if (const auto task = from_environment("SLURM_ARRAY_TASK_ID")) {
    const std::size_t first = from_environment("SLURM_ARRAY_TASK_MIN").value_or(0);
    const std::size_t step = from_environment("SLURM_ARRAY_TASK_STEP").value_or(1);
    if (*task < first || step == 0) fail("a Slurm task below its array");
    index = (*task - first) / step;
  }
  Shard shard;
  if (flag.empty()) {
    const auto count = from_environment("SLURM_ARRAY_TASK_COUNT");
    if (!count && in_kubernetes) fail("JOB_COMPLETION_INDEX but no number of shards");
    if (!count || !index) return shard;
    shard = {*index, *count};
  } else if (const std::size_t slash = flag.find('/'); slash != std::string::npos) {
    const auto given = to_number(std::string_view(flag).substr(0, slash));
    const auto count = to_number(std::string_view(flag).substr(slash + 1));
    if (!given || !count || *given == 0) fail(flag);
    shard = {*given - 1, *count};
  } else {
    const auto count = to_number(flag);
    if (!count) fail(flag);
    if (!index) fail(flag + " without an index in the environment");
    shard = {*index, *count};
  }
  if (shard.index >= shard.count) fail(fmt::format("shard {} of {}", shard.index + 1, shard.count));
  return shard;
}

std::string sweep_csv(const SweepPlan& plan, const std::vector<SweepResult>& results) {
  std::vector<std::string> columns;  // of the summaries, in order of first use
  std::map<std::string, std::size_t> place;
  std::vector<std::vector<Metric>> rows;
  for (const SweepResult& result : results) {
    rows.push_back(flatten_numbers(result.summary));
    for (const Metric& metric : rows.back()) {
      if (place.emplace(metric.path, columns.size()).second) columns.push_back(metric.path);
    }
  }
  std::string out = "point";
  for (const std::string& pointer : plan.pointers) out += "," + csv_field(pointer);
  for (const std::string& column : columns) out += "," + csv_field(column);
  out += '\n';
  for (std::size_t i = 0; i < results.size(); ++i) {
    const SweepPoint& point = *results[i].point;
    out += fmt::format("{}", point.index);
    for (const std::string& pointer : plan.pointers)
      out += "," + (point.overrides.contains(pointer) ? csv_value(point.overrides[pointer]) : "");
    std::vector<std::string> fields(columns.size());
    for (const Metric& metric : rows[i])
      fields[place[metric.path]] = fmt::format("{}", metric.value);
    for (const std::string& field : fields) out += "," + field;
    out += '\n';
  }
  return out;
}

}  // namespace kvsim
