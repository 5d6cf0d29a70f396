#include "sim/base/stats.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// The sign, the exponent and the first 7 bits of the fraction of a double number its bucket.
constexpr int kShift = 52 - 7;
constexpr double kLowest = 0x1.0p-34;
constexpr double kHighest = 0x1.0p30;
constexpr std::uint64_t kFirst = std::bit_cast<std::uint64_t>(kLowest) >> kShift;
constexpr std::size_t kBuckets =
    (std::bit_cast<std::uint64_t>(kHighest) >> kShift) - kFirst + 2;  // bucket 0 holds zeros

std::size_t bucket_of(double value) {
  if (!(value >= kLowest)) return 0;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(std::min(value, kHighest));
  return (bits >> kShift) - kFirst + 1;
}

// The value of least relative error for a bucket.
double value_of(std::size_t bucket) {
  if (bucket == 0) return 0;
  const double low = std::bit_cast<double>((bucket - 1 + kFirst) << kShift);
  const double high = std::bit_cast<double>((bucket + kFirst) << kShift);
  return 2 * low * high / (low + high);
}

struct Rank {
  std::int64_t below;
  double fraction;  // of the way to the next value
};

Rank rank_of(double quantile, std::int64_t count) {
  KV_CHECK(quantile >= 0 && quantile <= 1, "quantile {}", quantile);
  const double position = quantile * static_cast<double>(count - 1);
  const auto below = static_cast<std::int64_t>(position);
  return {below, position - static_cast<double>(below)};
}

}  // namespace

Sketch::Sketch() : buckets_(kBuckets, 0) {}

void Sketch::add(double value, std::int64_t weight) {
  if (weight <= 0) return;
  buckets_[bucket_of(value)] += weight;
  count_ += weight;
  sum_ += value * static_cast<double>(weight);
  max_ = std::max(max_, value);
}

void Sketch::merge(const Sketch& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

double Sketch::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::vector<double> Sketch::quantiles(std::span<const double> ascending) const {
  std::vector<double> out;
  std::size_t bucket = 0;
  std::int64_t up_to = buckets_[0];  // values in buckets 0..bucket
  for (const double quantile : ascending) {
    if (count_ == 0) {
      out.push_back(0);
      continue;
    }
    const Rank rank = rank_of(quantile, count_);
    while (up_to <= rank.below) up_to += buckets_[++bucket];
    const double low = value_of(bucket);
    double high = low;
    if (rank.fraction > 0 && rank.below + 1 >= up_to) {
      std::size_t next = bucket + 1;
      while (buckets_[next] == 0) ++next;
      high = value_of(next);
    }
    out.push_back(std::min(low + rank.fraction * (high - low), max_));
  }
  return out;
}

void Percentiles::add(double value) {
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
  if (exact() && values_.size() == exact_limit_) spill();
  if (exact()) {
    values_.push_back(static_cast<float>(value));
  } else {
    spilled_->add(value);
  }
}

void Percentiles::merge(const Percentiles& other) {
  const bool stays_exact =
      exact() && other.exact() && values_.size() + other.values_.size() <= exact_limit_;
  if (stays_exact) {
    values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  } else {
    spill();
    if (other.spilled_) spilled_->merge(*other.spilled_);
    for (const float value : other.values_) spilled_->add(value);
  }
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

void Percentiles::spill() {
  if (!exact()) return;
  spilled_.emplace();
  for (const float value : values_) spilled_->add(value);
  std::vector<float>().swap(values_);
}

double Percentiles::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::vector<double> Percentiles::quantiles(std::span<const double> ascending) const {
  if (!exact()) return spilled_->quantiles(ascending);
  std::vector<double> out;
  std::vector<float> values = values_;
  auto from = values.begin();  // everything before it is smaller or equal
  for (const double quantile : ascending) {
    if (values.empty()) {
      out.push_back(0);
      continue;
    }
    const Rank rank = rank_of(quantile, count_);
    const auto nth = values.begin() + rank.below;
    if (nth >= from) std::nth_element(from, nth, values.end());
    from = nth;
    const double low = *nth;
    const double high =
        rank.fraction > 0 ? static_cast<double>(*std::min_element(nth + 1, values.end())) : low;
    out.push_back(std::min(low + rank.fraction * (high - low), max_));
  }
  return out;
}

}  // namespace kvsim
