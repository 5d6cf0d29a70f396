#include "sim/probe/sample.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// Means of this many runs of consecutive operations tell how much the mean may be off: single
// operations of several callers are not independent.
constexpr std::size_t kBatches = 8;
// Student's t for 95 % and kBatches - 1 degrees of freedom.
constexpr double kStudent = 2.365;

double noise_of(const std::vector<double>& times, double mean) {
  const std::size_t batches = std::min(kBatches, times.size());
  if (batches < 2 || mean <= 0) return 1;
  double squares = 0;
  for (std::size_t i = 0; i < batches; ++i) {
    const std::size_t from = times.size() * i / batches;
    const std::size_t to = times.size() * (i + 1) / batches;
    const double sum = std::accumulate(times.begin() + static_cast<std::ptrdiff_t>(from),
                                       times.begin() + static_cast<std::ptrdiff_t>(to), 0.0);
    const double off = sum / static_cast<double>(to - from) - mean;
    squares += off * off;
  }
  const auto n = static_cast<double>(batches);
  return kStudent * std::sqrt(squares / (n - 1) / n) / mean;
}

}  // namespace

Sample summarise(const BenchOperation& operation, const std::vector<double>& times) {
  KV_CHECK(!times.empty());
  Sample out;
  out.operation = operation;
  out.count = static_cast<std::int64_t>(times.size());
  const double mean =
      std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
  out.noise = noise_of(times, mean);
  std::vector<double> sorted = times;
  std::sort(sorted.begin(), sorted.end());
  out.mean = Seconds(mean);
  out.p10 = Seconds(quantile(sorted, 0.1));
  out.p50 = Seconds(quantile(sorted, 0.5));
  out.p90 = Seconds(quantile(sorted, 0.9));
  out.p99 = Seconds(quantile(sorted, 0.99));
  out.shortest = Seconds(sorted.front());
  return out;
}

std::optional<double> Sample::seen(const std::string& name) const {
  for (const auto& [key, value] : extra)
    if (key == name) return value;
  return std::nullopt;
}

Json to_json(const Sample& sample) {
  Json out = {{"operation", sample.operation.name},
              {"bytes", sample.operation.bytes.count()},
              {"at_once", sample.operation.at_once},
              {"count", sample.count},
              {"mean_s", sample.mean.count()},
              {"p10_s", sample.p10.count()},
              {"p50_s", sample.p50.count()},
              {"p90_s", sample.p90.count()},
              {"p99_s", sample.p99.count()},
              {"min_s", sample.shortest.count()},
              {"noise", sample.noise},
              {"noisy", sample.noisy}};
  for (const auto& [name, value] : sample.extra) out["extra"][name] = value;
  return out;
}

Sample sample_from_json(const Json& json) {
  Sample out;
  out.operation = {json.at("operation").get<std::string>(),
                   Bytes(json.at("bytes").get<std::int64_t>()),
                   json.at("at_once").get<std::int64_t>()};
  out.count = json.at("count").get<std::int64_t>();
  out.mean = Seconds(json.at("mean_s").get<double>());
  out.p10 = Seconds(json.at("p10_s").get<double>());
  out.p50 = Seconds(json.at("p50_s").get<double>());
  out.p90 = Seconds(json.at("p90_s").get<double>());
  out.p99 = Seconds(json.at("p99_s").get<double>());
  out.shortest = Seconds(json.at("min_s").get<double>());
  out.noise = json.at("noise").get<double>();
  out.noisy = json.at("noisy").get<bool>();
  if (json.contains("extra"))
    for (const auto& [name, value] : json.at("extra").items())
      out.extra.emplace_back(name, value.get<double>());
  return out;
}

}  // namespace kvsim
