// Distributions of whole numbers (lengths in tokens, turns of a session) and of pauses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

// Whole numbers >= 1. {"kind": "constant", "value": n}; {"kind": "uniform", "min": a, "max": b},
// ends included; {"kind": "normal" | "lognormal", "mean": m, "deviation": d, "min": a, "max": b}:
// mean and deviation are those of the numbers before they are cut to [min, max] (draws outside do
// not occur; nothing piles up at the ends); {"kind": "empirical", "values": [...]} or
// {"kind": "empirical", "file": "lengths.csv", "column": "name"}: each row equally likely.
struct CountConfig {
  std::string kind = "constant";
  std::optional<std::int64_t> value;
  std::optional<double> mean;
  std::optional<double> deviation;
  std::optional<std::int64_t> min;
  std::optional<std::int64_t> max;
  std::optional<std::vector<std::int64_t>> values;
  std::string file;
  std::optional<std::string> column;

  static constexpr double kMost = 1e9;

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, {"constant", "uniform", "normal", "lognormal", "empirical"},
             "Shape of the distribution.");
    f.optional("value", value, Range{1, kMost}, "constant: the number.");
    f.optional("mean", mean, Range{1, kMost}, "normal, lognormal: before cutting to [min, max].");
    f.optional("deviation", deviation, Range{0, kMost},
               "normal, lognormal: standard deviation before cutting to [min, max].");
    f.optional("min", min, Range{1, kMost}, "uniform, normal, lognormal: least. Default: 1.");
    f.optional("max", max, Range{1, kMost}, "uniform, normal, lognormal: most.");
    f.optional("values", values, Range{1, kMost}, "empirical: each equally likely.");
    f.path("file", file, "empirical: CSV file with a header line, instead of values.");
    f.optional("column", column, "empirical: the column of that file.");
  }

  static CountConfig constant(std::int64_t value);
  static CountConfig normal(double mean, double deviation, std::int64_t min, std::int64_t max);
};

class CountDistribution {
 public:
  // `path` is the JSON path for complaints. Throws ConfigError, TraceError for a CSV file.
  CountDistribution(const CountConfig& config, const std::string& path);
  [[nodiscard]] std::int64_t draw(Rng& rng) const;

 private:
  enum class Kind : std::uint8_t { kUniform, kNormal, kLognormal, kEmpirical };

  Kind kind_;
  std::int64_t min_;
  std::int64_t max_;
  double mean_ = 0;       // of the logarithm where that is normal
  double deviation_ = 0;  // of the logarithm where that is normal
  std::vector<std::int64_t> values_;
};

// Pauses. {"kind": "constant" | "exponential", "mean_s": m} or {"kind": "lognormal", "mean_s": m,
// "deviation_s": d}.
struct PauseConfig {
  std::string kind = "constant";
  Seconds mean{0};
  std::optional<Seconds> deviation;

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, {"constant", "exponential", "lognormal"}, "Shape of the distribution.");
    f.optional("mean_s", mean, Range{0, 1e7}, "Mean pause.");
    f.optional("deviation_s", deviation, Range{0, 1e7}, "lognormal: standard deviation.");
  }
};

class PauseDistribution {
 public:
  // As CountDistribution's.
  PauseDistribution(const PauseConfig& config, const std::string& path);
  [[nodiscard]] Seconds draw(Rng& rng) const;

 private:
  enum class Kind : std::uint8_t { kConstant, kExponential, kLognormal };
  Kind kind_;
  double mean_;
  double log_mean_ = 0;
  double log_deviation_ = 0;
};

}  // namespace kvsim
