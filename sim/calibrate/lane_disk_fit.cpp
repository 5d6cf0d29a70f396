#include "sim/calibrate/lane_disk_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

constexpr double kSmall = 65'536;
constexpr double kOneDie = 131'072;
constexpr double kManyDies = 1'048'576;

struct Point {
  bool write;
  double bytes;
  double at_once;
  double seconds;
};

// Constants in the order of the search; rates, times and shares by their logarithm.
constexpr std::size_t kConstants = 8;
using Constants = std::array<double, kConstants>;
enum Which : std::size_t {
  kReadRate,
  kReadIops,
  kReadLatency,
  kReadLarge,
  kWriteRate,
  kWriteIops,
  kWriteLatency,
  kSerial
};
const std::array<const char*, kConstants> kNames = {
    "read_bytes_per_s",  "read_iops",  "read_latency_s",  "large_read_s",
    "write_bytes_per_s", "write_iops", "write_latency_s", "serial_share"};
// Waits below this are none; and the search goes no further down.
constexpr double kNoWait = 1e-8;
constexpr double kNoShare = 1e-3;

DiskLaw law_of(const Constants& logs, double request_bytes) {
  Constants values;
  for (std::size_t i = 0; i < kConstants; ++i) values[i] = std::exp(logs[i]);
  const auto zero_below = [](double value, double least) { return value > least ? value : 0; };
  return {.read = {values[kReadRate], values[kReadIops], zero_below(values[kReadLatency], kNoWait),
                   zero_below(values[kReadLarge], kNoWait)},
          .write = {values[kWriteRate], values[kWriteIops],
                    zero_below(values[kWriteLatency], kNoWait), 0},
          .serial_share = zero_below(values[kSerial], kNoShare),
          .request_bytes = request_bytes};
}

double value_of(const DiskLaw& law, std::size_t which) {
  const Constants values = {law.read.bytes_per_s, law.read.iops,         law.read.latency,
                            law.read.large,       law.write.bytes_per_s, law.write.iops,
                            law.write.latency,    law.serial_share};
  return values[which];
}

double error_of(const Constants& logs, const std::vector<Point>& points, double request_bytes) {
  const DiskLaw law = law_of(logs, request_bytes);
  double sum = 0;
  for (const Point& point : points)
    sum += std::abs(std::log(law.seconds(point.write, point.bytes, point.at_once) / point.seconds));
  // Of laws that fit alike, the one with the shorter waits: they are what is added to the rates.
  constexpr double kTaste = 1e-3;
  return sum + kTaste * (law.serial_share + law.read.large * 1e3);
}

void keep_in_bounds(Constants& logs) {
  logs[kReadLatency] = std::max(logs[kReadLatency], std::log(kNoWait));
  logs[kReadLarge] = std::max(logs[kReadLarge], std::log(kNoWait));
  logs[kWriteLatency] = std::max(logs[kWriteLatency], std::log(kNoWait));
  logs[kSerial] = std::clamp(logs[kSerial], std::log(kNoShare), 0.0);
}

// Tries a step in each constant, and in a few random directions (constants trade against each
// other), and halves the step when nothing helps.
Constants descend(Constants at, double step, const std::function<double(const Constants&)>& error,
                  Rng& rng) {
  constexpr double kFinest = 2e-3;
  constexpr int kRandom = 16;
  double least = error(at);
  const auto better = [&](Constants there) {
    keep_in_bounds(there);
    const double now = error(there);
    if (now >= least - 1e-7) return false;
    least = now;
    at = there;
    return true;
  };
  while (step > kFinest) {
    bool moved = false;
    for (std::size_t i = 0; i < kConstants; ++i) {
      for (const double sign : {step, -step}) {
        Constants there = at;
        there[i] += sign;
        moved = better(there) || moved;
      }
    }
    for (int i = 0; i < kRandom; ++i) {
      Constants there = at;
      for (double& value : there) value += step * rng.normal(0, 1);
      moved = better(there) || moved;
    }
    if (!moved) step /= 2;
  }
  return at;
}

// Where to begin: the highest rates seen, which are the least that the device has, and the shortest
// wait.
Constants beginning(const std::vector<Point>& points) {
  std::array<double, 2> rate = {1e6, 1e6};
  std::array<double, 2> iops = {10, 10};
  std::array<double, 2> shortest = {1, 1};
  for (const Point& point : points) {
    const std::size_t way = point.write ? 1 : 0;
    rate[way] = std::max(rate[way], point.at_once * point.bytes / point.seconds);
    iops[way] = std::max(iops[way], point.at_once / point.seconds);
    shortest[way] = std::min(shortest[way], point.seconds);
  }
  Constants out = {rate[0], iops[0], shortest[0] / 2, 1e-5, rate[1], iops[1], shortest[1] / 2, 0.1};
  for (double& value : out) value = std::log(value);
  return out;
}

Constants fit_points(const std::vector<Point>& points, double request_bytes,
                     const Constants* nearby) {
  Rng rng = stream(1, "calibrate/disk");
  const auto error = [&](const Constants& logs) { return error_of(logs, points, request_bytes); };
  if (nearby != nullptr) return descend(*nearby, 0.1, error, rng);
  Constants best = beginning(points);
  // A drive that works on all at once, and one that does not.
  for (const double share : {kNoShare, 0.1, 1.0}) {
    Constants from = beginning(points);
    from[kSerial] = std::log(share);
    const Constants there = descend(from, 0.5, error, rng);
    if (error(there) < error(best)) best = there;
  }
  return best;
}

std::optional<Point> point_of(const Sample& sample) {
  const std::string& name = sample.operation.name;
  const bool read = name == "read" || name == "read/value";
  const bool write = name == "write" || name == "write/value";
  if (!read && !write) return {};
  return Point{write, sample.operation.bytes.real(), static_cast<double>(sample.operation.at_once),
               sample.p50.count()};
}

double quantile_of(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return quantile(values, share);
}

// What resampled measurements give for each constant.
std::array<std::vector<double>, kConstants> resampled(const std::vector<Point>& points,
                                                      double request_bytes, const Constants& best) {
  constexpr int kTimes = 60;
  Rng rng = stream(1, "calibrate/disk/resample");
  std::array<std::vector<double>, kConstants> out;
  for (int i = 0; i < kTimes; ++i) {
    std::vector<Point> drawn;
    for (std::size_t k = 0; k < points.size(); ++k)
      drawn.push_back(points[rng.below(points.size())]);
    const DiskLaw law = law_of(fit_points(drawn, request_bytes, &best), request_bytes);
    for (std::size_t k = 0; k < kConstants; ++k) out[k].push_back(value_of(law, k));
  }
  return out;
}

FittedFigure median_figure(const std::string& path, const std::vector<double>& values) {
  return {path, quantile_of(values, 0.5), quantile_of(values, 0.025), quantile_of(values, 0.975)};
}

// p99 over p50 of a lognormal with the sample's p90: a core that is away for a while makes p99 of
// short requests anything.
void add_spreads(const std::vector<Sample>& samples, DiskFit& fit) {
  constexpr double kQuantile90 = 1.2815515655446004;
  constexpr double kQuantile99 = 2.3263478740408408;
  std::array<std::vector<double>, 2> spreads;
  for (const Sample& sample : samples) {
    const auto point = point_of(sample);
    if (!point || point->at_once > 1 || sample.p50 <= Seconds(0)) continue;
    const double above = std::max(sample.p90 / sample.p50, 1.0);
    spreads[point->write ? 1 : 0].push_back(std::pow(above, kQuantile99 / kQuantile90));
  }
  constexpr double kMost = 100;
  for (const std::size_t way : {0U, 1U}) {
    if (spreads[way].empty()) continue;
    for (double& spread : spreads[way]) spread = std::min(spread, kMost);
    fit.figures.push_back(median_figure(way == 0 ? "read_spread" : "write_spread", spreads[way]));
  }
}

void add_mixing(const std::vector<Sample>& samples, const DiskLaw& law, DiskFit& fit) {
  std::vector<double> penalties;
  for (const Sample& sample : samples) {
    const BenchOperation& operation = sample.operation;
    const auto read = sample.seen("read_p50_s");
    const auto write = sample.seen("write_p50_s");
    const double bytes = operation.bytes.real();
    if (!operation.name.starts_with("mix/") || !read || !write) continue;
    if (bytes >= kSmall || operation.at_once < 2) continue;
    const double reads = std::stod(operation.name.substr(4)) / 100;
    const double measured = reads * *read + (1 - reads) * *write;
    double low = 0;
    double high = 10;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      const double model =
          law.mixed_seconds(reads, bytes, static_cast<double>(operation.at_once), middle);
      (model < measured ? low : high) = middle;
    }
    penalties.push_back(low);
  }
  if (!penalties.empty()) fit.figures.push_back(median_figure("mixing_penalty", penalties));
}

void add_sustained(const std::vector<Sample>& samples, DiskFit& fit) {
  for (const Sample& sample : samples) {
    const auto last = sample.seen("last_bytes_per_s");
    const auto before = sample.seen("full_rate_bytes");
    if (sample.operation.name != "write/sustained" || !last || !before) continue;
    fit.figures.push_back({"write_buffer_bytes", *before, *before, *before});
    fit.figures.push_back({"sustained_write_bytes_per_s", *last, *last, *last});
  }
}

}  // namespace

double DiskLaw::work(bool is_write, double bytes) const {
  const Way& own = way(is_write);
  const double moving = bytes / own.bytes_per_s;
  const double handling = std::ceil(bytes / std::min(bytes, request_bytes)) / own.iops;
  return std::max(moving, handling) + serial_share * std::min(moving, handling);
}

double DiskLaw::lone_wait(bool is_write, double bytes) const {
  const Way& own = way(is_write);
  return own.latency + own.large * std::clamp((bytes - kOneDie) / (kManyDies - kOneDie), 0.0, 1.0);
}

double DiskLaw::seconds(bool is_write, double bytes, double at_once) const {
  const double whole = work(is_write, bytes);
  const double one = work(is_write, std::min(bytes, request_bytes));
  return std::max(lone_wait(is_write, bytes) + whole + serial_share * (at_once - 1) * one,
                  at_once * whole);
}

double DiskLaw::mixed_seconds(double reads, double bytes, double at_once, double penalty) const {
  const double one = reads * work(false, bytes) + (1 - reads) * work(true, bytes);
  const double wait = reads * lone_wait(false, bytes) + (1 - reads) * lone_wait(true, bytes);
  const double whole = one * (1 + penalty);
  return std::max(wait + whole + serial_share * (at_once - 1) * one, at_once * whole);
}

DiskFit fit_disk(const std::vector<Sample>& samples, double request_bytes) {
  DiskFit out;
  std::vector<Point> points;
  for (const Sample& sample : samples) {
    const auto point = point_of(sample);
    if (!point || point->seconds <= 0) continue;
    points.push_back(*point);
    (point->write ? out.has_writes : out.has_reads) = true;
  }
  add_sustained(samples, out);
  if (points.empty()) return out;
  const Constants best = fit_points(points, request_bytes, nullptr);
  const DiskLaw law = law_of(best, request_bytes);
  const auto scattered = resampled(points, request_bytes, best);
  for (std::size_t i = 0; i < kConstants; ++i) {
    const bool of_writes = i >= kWriteRate && i <= kWriteLatency;
    if (i != kSerial && !(of_writes ? out.has_writes : out.has_reads)) continue;
    out.figures.push_back({kNames[i], value_of(law, i), quantile_of(scattered[i], 0.025),
                           quantile_of(scattered[i], 0.975)});
  }
  add_spreads(samples, out);
  if (out.has_reads && out.has_writes) add_mixing(samples, law, out);
  return out;
}

}  // namespace kvsim
