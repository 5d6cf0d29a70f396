#include "sim/validate/distribution_error.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/check.hpp"
#include "sim/base/quantile.hpp"

namespace kvsim {

namespace {

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> out(values.begin(), values.end());
  std::sort(out.begin(), out.end());
  return out;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double out = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const double at = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= at) ++i;
    while (j < b.size() && b[j] <= at) ++j;
    const double share_a = static_cast<double>(i) / static_cast<double>(a.size());
    const double share_b = static_cast<double>(j) / static_cast<double>(b.size());
    out = std::max(out, std::abs(share_a - share_b));
  }
  return out;
}

// From 0; equal values share the mean of their ranks.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [values](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double mean = static_cast<double>(begin + end - 1) / 2;
    for (std::size_t i = begin; i < end; ++i) out[order[i]] = mean;
  }
  return out;
}

std::optional<double> correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean = static_cast<double>(a.size() - 1) / 2;  // of ranks
  double both = 0;
  double of_a = 0;
  double of_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    both += (a[i] - mean) * (b[i] - mean);
    of_a += (a[i] - mean) * (a[i] - mean);
    of_b += (b[i] - mean) * (b[i] - mean);
  }
  if (of_a == 0 || of_b == 0) return std::nullopt;
  return both / std::sqrt(of_a * of_b);
}

}  // namespace

DistributionError distribution_error(std::span<const double> predicted,
                                     std::span<const double> measured, bool paired) {
  KV_CHECK(!predicted.empty() && !measured.empty(), "{} predicted and {} measured values",
           predicted.size(), measured.size());
  KV_CHECK(!paired || predicted.size() == measured.size(), "{} pairs of {} values",
           predicted.size(), measured.size());
  const std::vector<double> of_predicted = sorted(predicted);
  const std::vector<double> of_measured = sorted(measured);
  DistributionError out;
  out.kolmogorov = largest_difference(of_predicted, of_measured);
  for (std::size_t i = 0; i < out.signed_percent.size(); ++i) {
    const double q = DistributionError::kQuantiles[i];
    const double actual = quantile(of_measured, q);
    out.signed_percent[i] = 100 * (quantile(of_predicted, q) / actual - 1);
  }
  if (paired) out.rank_correlation = correlation(ranks(predicted), ranks(measured));
  return out;
}

std::vector<double> per_cent_points(std::span<const double> values) {
  KV_CHECK(!values.empty(), "quantiles of nothing");
  const std::vector<double> ascending = sorted(values);
  constexpr int kPercent = 100;
  std::vector<double> out;
  for (int i = 0; i <= kPercent; ++i)
    out.push_back(quantile(ascending, static_cast<double>(i) / kPercent));
  return out;
}

}  // namespace kvsim
