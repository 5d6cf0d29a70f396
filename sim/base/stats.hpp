// Quantiles of long streams of durations: exact while the values are few, then from a sketch whose
// relative error is known.
//
// A quantile q of n values is taken at rank q * (n - 1), counted from 0, and interpolated linearly
// between the two values beside that rank (what numpy and the common benchmark tools do).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvsim {

// Counts in logarithmic buckets: every power of two is cut into 128 equal parts, so adding a value
// is a shift and an increment, and the same on every machine. Memory is fixed (64 KiB).
// Values below 2^-34 (0.06 ns) count as 0, values above 2^30 (34 years) as 2^30. Mean and maximum
// are exact. After DDSketch with linear interpolation (Masson et al., VLDB 2019).
class Sketch {
 public:
  // Of a quantile, against the exact one.
  static constexpr double kRelativeError = 1.0 / 257.0;

  Sketch();
  // value >= 0; `weight` equal values at once, >= 0.
  void add(double value, std::int64_t weight = 1);
  void merge(const Sketch& other);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double mean() const;  // 0 when empty
  [[nodiscard]] double max() const { return max_; }
  // For each of `ascending`, all in [0, 1]; zeros when empty. One pass over the buckets.
  [[nodiscard]] std::vector<double> quantiles(std::span<const double> ascending) const;

 private:
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

// Exact quantiles of up to `exact_limit` values, 4 bytes each (a value is rounded to 24 bits); at
// the first value beyond that everything moves into a Sketch.
class Percentiles {
 public:
  static constexpr std::size_t kExactLimit = 1'000'000;

  explicit Percentiles(std::size_t exact_limit = kExactLimit) : exact_limit_(exact_limit) {}
  void add(double value);  // value >= 0
  // Exact only if both are and their values together keep within the limit.
  void merge(const Percentiles& other);
  // Gives the exact values up for the sketch now. O(n).
  void spill();

  [[nodiscard]] bool exact() const { return !spilled_; }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double mean() const;  // 0 when empty
  [[nodiscard]] double max() const { return max_; }
  [[nodiscard]] double relative_error() const { return exact() ? 0 : Sketch::kRelativeError; }
  // As Sketch's. O(n) and a copy of the values while exact.
  [[nodiscard]] std::vector<double> quantiles(std::span<const double> ascending) const;

 private:
  std::size_t exact_limit_;
  std::vector<float> values_;
  std::optional<Sketch> spilled_;
  std::int64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

}  // namespace kvsim
