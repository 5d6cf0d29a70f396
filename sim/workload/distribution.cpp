#include "sim/workload/distribution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/workload/csv_reader.hpp"
#include "sim/workload/kind_keys.hpp"

namespace kvsim {

namespace {

// A normal number on the condition that it lies in [low, high], which holds the mean. By rejection:
// from the normal, or from the uniform where the interval is narrow, so that a third at least of
// the proposals is taken.
double truncated_normal(Rng& rng, double mean, double deviation, double low, double high) {
  const bool narrow = high - low < deviation;
  while (true) {
    const double x = narrow ? rng.uniform(low, high) : rng.normal(mean, deviation);
    if (x < low || x > high) continue;
    if (!narrow) return x;
    const double z = (x - mean) / deviation;
    if (rng.uniform() < std::exp(-0.5 * z * z)) return x;
  }
}

// Of the logarithm, so that the number has this mean and deviation.
struct LogMoments {
  double mean;
  double deviation;
};
LogMoments log_moments(double mean, double deviation) {
  const double variance = std::log1p(std::pow(deviation / mean, 2));
  return {std::log(mean) - variance / 2, std::sqrt(variance)};
}

std::vector<std::int64_t> read_column(const CountConfig& config) {
  CsvReader csv(ByteStream::open(config.file));
  const std::size_t column = csv.column(*config.column);
  std::vector<std::int64_t> values;
  while (csv.next()) values.push_back(csv.integer(column, 1));
  return values;
}

const std::vector<KindKeys> kCountKeys = {
    {"constant", {"value"}, {}},
    {"uniform", {"min", "max"}, {}},
    {"normal", {"mean", "deviation"}, {"min", "max"}},
    {"lognormal", {"mean", "deviation"}, {"min", "max"}},
    {"empirical", {}, {"values", "file", "column"}},
};

std::vector<std::string> given_keys(const CountConfig& config) {
  std::vector<std::string> given;
  if (config.value) given.emplace_back("value");
  if (config.mean) given.emplace_back("mean");
  if (config.deviation) given.emplace_back("deviation");
  if (config.min) given.emplace_back("min");
  if (config.max) given.emplace_back("max");
  if (config.values) given.emplace_back("values");
  if (!config.file.empty()) given.emplace_back("file");
  if (config.column) given.emplace_back("column");
  return given;
}

}  // namespace

CountConfig CountConfig::constant(std::int64_t value) {
  CountConfig config;
  config.value = value;
  return config;
}

CountConfig CountConfig::normal(double mean, double deviation, std::int64_t min, std::int64_t max) {
  CountConfig config;
  config.kind = "normal";
  config.mean = mean;
  config.deviation = deviation;
  config.min = min;
  config.max = max;
  return config;
}

CountDistribution::CountDistribution(const CountConfig& config, const std::string& path)
    : min_(config.min.value_or(1)),
      max_(config.max.value_or(static_cast<std::int64_t>(CountConfig::kMost))) {
  check_keys(path, config.kind, kCountKeys, given_keys(config));
  if (config.kind == "empirical") {
    kind_ = Kind::kEmpirical;
    const bool file = !config.file.empty();
    if (config.values.has_value() == file || config.column.has_value() != file)
      fail_at(path, "kind \"empirical\"", "either values, or file and column");
    values_ = file ? read_column(config) : *config.values;
    if (values_.empty()) fail_at(path, "no values", "at least one");
    return;
  }
  kind_ = Kind::kUniform;
  if (config.kind == "constant") {
    min_ = max_ = *config.value;
    return;
  }
  if (min_ > max_) fail_at(path + "/min", fmt::format("{}", min_), fmt::format("1 to {}", max_));
  if (config.kind == "uniform") return;
  const double mean = *config.mean;
  if (mean < static_cast<double>(min_) || mean > static_cast<double>(max_))
    fail_at(path + "/mean", fmt::format("{}", mean), fmt::format("{} to {}", min_, max_));
  kind_ = config.kind == "normal" ? Kind::kNormal : Kind::kLognormal;
  mean_ = mean;
  deviation_ = *config.deviation;
  if (kind_ == Kind::kLognormal) {
    const LogMoments moments = log_moments(mean, deviation_);
    mean_ = moments.mean;
    deviation_ = moments.deviation;
    const double median = std::exp(mean_);
    if (median < static_cast<double>(min_))
      fail_at(path + "/min", fmt::format("{}", min_),
              fmt::format("1 to {:.1f}, the median of that mean and deviation", median));
  }
}

std::int64_t CountDistribution::draw(Rng& rng) const {
  const auto low = static_cast<double>(min_) - 0.5;
  const auto high = static_cast<double>(max_) + 0.5;
  double x = 0;
  switch (kind_) {
    case Kind::kUniform:
      if (min_ == max_) return min_;
      return min_ +
             static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(max_ - min_ + 1)));
    case Kind::kEmpirical:
      return values_[rng.below(values_.size())];
    case Kind::kNormal:
      x = deviation_ > 0 ? truncated_normal(rng, mean_, deviation_, low, high) : mean_;
      break;
    case Kind::kLognormal:
      x = deviation_ > 0
              ? std::exp(truncated_normal(rng, mean_, deviation_, std::log(low), std::log(high)))
              : std::exp(mean_);
      break;
  }
  return std::clamp<std::int64_t>(std::llround(x), min_, max_);
}

PauseDistribution::PauseDistribution(const PauseConfig& config, const std::string& path)
    : mean_(config.mean.count()) {
  static const std::vector<KindKeys> kKeys = {
      {"constant", {}, {}}, {"exponential", {}, {}}, {"lognormal", {"deviation_s"}, {}}};
  std::vector<std::string> given;
  if (config.deviation) given.emplace_back("deviation_s");
  check_keys(path, config.kind, kKeys, given);
  kind_ = config.kind == "constant" || mean_ <= 0 ? Kind::kConstant : Kind::kExponential;
  if (config.kind == "lognormal" && mean_ > 0) {
    kind_ = Kind::kLognormal;
    const LogMoments moments = log_moments(mean_, config.deviation->count());
    log_mean_ = moments.mean;
    log_deviation_ = moments.deviation;
  }
}

Seconds PauseDistribution::draw(Rng& rng) const {
  switch (kind_) {
    case Kind::kExponential:
      return Seconds(rng.exponential(mean_));
    case Kind::kLognormal:
      return Seconds(rng.lognormal(log_mean_, log_deviation_));
    case Kind::kConstant:
      break;
  }
  return Seconds(mean_);
}

}  // namespace kvsim
