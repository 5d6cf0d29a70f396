#include "sim/experiment/live_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/calibrate/calibration.hpp"

namespace kvsim {

namespace {

// Operations of a class that are done for real before its times are drawn.
constexpr std::size_t kDone = 4;
// In shadow mode, of each lane: classes of the run that are compared.
constexpr std::size_t kCompared = 6;
constexpr std::array<std::int64_t, 3> kCallers = {1, 4, 16};
// Names that are compared at sizes between the calibration's, at most.
constexpr std::size_t kChecked = 3;
// Points of all lanes are measured so often, in turn, and the quickest counts, as in a calibration.
constexpr int kPasses = 2;
// Smaller operations are not compared: their times are of a call, not of bytes. Commands to stores
// are, whatever their size.
constexpr Bytes kBytesMatter{4096};
// What all callers of a comparison hold together.
constexpr Bytes kMostAtOnce{1LL << 30};
const Patience kCompare{.warm_up = Seconds(0.1),
                        .least = Seconds(0.4),
                        .most = Seconds(1.5),
                        .operations = 8,
                        .noise = 0.05};
const Patience kOnce{
    .warm_up = Seconds(0), .least = Seconds(0), .most = Seconds(0), .operations = 1};

// Three significant bits.
std::int64_t rounded(std::int64_t value) {
  const int bits = std::bit_width(static_cast<std::uint64_t>(value));
  constexpr int kBits = 3;
  if (bits <= kBits) return value;
  const int shift = bits - kBits;
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  return ((value + half) >> shift) << shift;
}

// A time from the quantiles of a sample.
Seconds draw(const Sample& sample, double share) {
  const std::array<std::pair<double, Seconds>, 5> points = {{{0, sample.shortest},
                                                             {0.1, sample.p10},
                                                             {0.5, sample.p50},
                                                             {0.9, sample.p90},
                                                             {1, sample.p99}}};
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto& [below, low] = points[i - 1];
    const auto& [above, high] = points[i];
    if (share <= above)
      return Seconds(std::lerp(low.count(), high.count(), (share - below) / (above - below)));
  }
  return sample.p99;
}

Json to_json(const ModelError& error) {
  return {
      {"median", error.median}, {"p90", error.p90}, {"bias", error.bias}, {"points", error.count}};
}

// Errors of points by the value of `key`, in its order.
Json errors_by(const Json& points, const char* key) {
  std::map<std::int64_t, std::vector<double>> groups;
  for (const Json& point : points)
    groups[point[key].get<std::int64_t>()].push_back(point["error"].get<double>());
  Json out = Json::array();
  for (const auto& [value, errors] : groups) {
    Json row = to_json(model_error(errors));
    row[key] = value;
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

struct LiveSession::Lane {
  std::string name;
  Scratch scratch;
  std::unique_ptr<Bench> bench;
  std::unique_ptr<LaneModel> model;
  std::map<Class, Seen> seen;
};

LiveSession::LiveSession(const ConfigNode& node, const Options& options)
    : options_(options), rng_(stream(options.seed, "live")) {
  for (std::size_t i = 0; i < options.lanes.size(); ++i) open(node.at(i), options.lanes[i]);
}

LiveSession::~LiveSession() = default;

void LiveSession::open(const ConfigNode& node, const Json& lane) {
  Json bench = lane;
  if (bench.is_string()) bench = {{"kind", bench}};
  std::string folder = std::filesystem::temp_directory_path().string();
  if (bench.is_object() && bench.contains("path")) {
    folder = node.resolve_path(node.at("path").text());
    bench.erase("path");
  }
  const std::vector<std::string> allowed(kLiveLaneNames.begin(), kLiveLaneNames.end());
  const ConfigNode kind(bench, node.file(), node.path());
  const std::string name = Registry<Bench>::instance().find(kind).resolve(kind)["kind"];
  if (std::find(allowed.begin(), allowed.end(), name) == allowed.end())
    node.fail('"' + name + '"', "a live lane: one of " + join_names(allowed));
  auto& entry = lanes_.emplace_back(new Lane{name, {folder, Bytes(0)}, nullptr, nullptr, {}});
  entry->bench = Registry<Bench>::instance().make(kind, {entry->scratch});
  const Json model = name;
  entry->model = Registry<LaneModel>::instance().make(ConfigNode(model, node.file()), {});
}

LiveSession::Lane* LiveSession::find(LiveLane lane) const {
  for (const auto& candidate : lanes_)
    if (candidate->name == kLiveLaneNames[static_cast<std::size_t>(lane)]) return candidate.get();
  return nullptr;
}

bool LiveSession::drives(LiveLane lane) const { return !options_.shadow && find(lane) != nullptr; }

Seconds LiveSession::happened(const LiveOperation& operation) {
  Lane* lane = find(operation.lane);
  if (lane == nullptr || operation.bytes <= Bytes(0)) return Seconds(0);
  const Class key = {std::string(operation.name), rounded(operation.bytes.count()),
                     rounded(operation.at_once)};
  Seen& seen = lane->seen[key];
  ++seen.count;
  seen.model += operation.model;
  return options_.shadow ? Seconds(0) : do_for_real(*lane, key, seen);
}

Seconds LiveSession::do_for_real(Lane& lane, const Class& key, Seen& seen) {
  if (seen.samples.size() < kDone) {
    const auto& [name, bytes, at_once] = key;
    seen.samples.push_back(lane.bench->measure({name, Bytes(bytes), at_once}, kOnce));
    return seen.samples.back().typical();
  }
  return draw(seen.samples[rng_.below(seen.samples.size())], rng_.uniform());
}

namespace {

bool asks_a_store(const std::string& lane) { return lane == "rocksdb" || lane == "resp"; }

bool fits(const BenchOperation& operation) {
  return operation.bytes * operation.at_once <= kMostAtOnce;
}

// Sizes that a calibration does not use, between those that it does, for names of its plan.
std::vector<BenchOperation> between(const std::vector<BenchOperation>& plan,
                                    const std::vector<std::string>& names) {
  std::vector<BenchOperation> out;
  for (const std::string& name : names) {
    std::set<std::int64_t> sizes;
    for (const BenchOperation& operation : plan)
      if (operation.name == name) sizes.insert(operation.bytes.count());
    if (sizes.size() < 2) continue;
    const std::vector<std::int64_t> sorted(sizes.begin(), sizes.end());
    for (std::size_t i = 0; i < kCallers.size(); ++i) {
      // Another gap for each number of callers, the largest sizes for the fewest.
      const std::size_t gaps = sorted.size() - 1;
      const std::size_t gap = gaps - 1 - std::min(i, gaps - 1);
      const double middle =
          std::sqrt(static_cast<double>(sorted[gap]) * static_cast<double>(sorted[gap + 1]));
      out.push_back({name, Bytes(static_cast<std::int64_t>(middle)), kCallers[i]});
    }
  }
  return out;
}

}  // namespace

std::vector<LiveSession::Point> LiveSession::points_of(const Lane& lane) {
  std::vector<std::pair<Class, const Seen*>> classes;
  for (const auto& [key, seen] : lane.seen) classes.emplace_back(key, &seen);
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.second->count > b.second->count; });
  std::vector<Point> points;
  std::vector<std::string> names;
  for (const auto& [key, seen] : classes) {
    const auto& [name, bytes, at_once] = key;
    const BenchOperation operation{name, Bytes(bytes), at_once};
    const bool tiny = operation.bytes < kBytesMatter && !asks_a_store(lane.name);
    if (points.size() < kCompared && fits(operation) && !tiny)
      points.push_back({operation, seen, {}});
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  const std::vector<BenchOperation> plan = lane.model->plan(false);
  if (names.empty())
    for (const BenchOperation& operation : plan)
      if (std::find(names.begin(), names.end(), operation.name) == names.end())
        names.push_back(operation.name);
  names.resize(std::min(names.size(), kChecked));
  for (const BenchOperation& operation : between(plan, names))
    if (fits(operation)) points.push_back({operation, nullptr, {}});
  return points;
}

Json LiveSession::report() {
  std::vector<std::vector<Point>> points(lanes_.size());
  if (options_.shadow) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) points[i] = points_of(*lanes_[i]);
    for (int pass = 0; pass < kPasses; ++pass)
      for (std::size_t i = 0; i < lanes_.size(); ++i)
        for (Point& point : points[i]) {
          const Seconds time = lanes_[i]->bench->measure(point.operation, kCompare).typical();
          point.measured = pass == 0 ? time : std::min(point.measured, time);
        }
  }
  Json lanes = Json::array();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = *lanes_[i];
    Json entry = {{"lane", lane.name}, {"identity", lane.bench->identity()}};
    std::int64_t operations = 0;
    std::size_t done = 0;
    for (const auto& [key, seen] : lane.seen) {
      operations += seen.count;
      done += seen.samples.size();
    }
    entry["operations"] = operations;
    if (options_.shadow) {
      entry.update(errors_of(lane, points[i]));
    } else {
      entry["done_for_real"] = done;
    }
    lanes.push_back(std::move(entry));
  }
  return {{"shadow", options_.shadow}, {"lanes", std::move(lanes)}};
}

Json LiveSession::errors_of(const Lane& lane, const std::vector<Point>& points) const {
  World world;
  Tasks tasks(world);
  Json rows = Json::array();
  std::vector<double> errors;
  for (const Point& point : points) {
    const Seconds model = evaluate(*lane.model, tasks, point.operation, options_.figures);
    errors.push_back(model / point.measured - 1);
    rows.push_back({{"operation", point.operation.name},
                    {"bytes", point.operation.bytes.count()},
                    {"at_once", point.operation.at_once},
                    {"seen", point.seen == nullptr ? 0 : point.seen->count},
                    {"measured_s", point.measured.count()},
                    {"model_s", model.count()},
                    {"error", errors.back()}});
    if (point.seen != nullptr)
      rows.back()["model_in_run_s"] =
          point.seen->model.count() / static_cast<double>(point.seen->count);
  }
  return {{"error", to_json(model_error(errors))},
          {"by_at_once", errors_by(rows, "at_once")},
          {"by_bytes", errors_by(rows, "bytes")},
          {"points", rows}};
}

}  // namespace kvsim
