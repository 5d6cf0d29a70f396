#include "kernels/bench/measure.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace kvsim::kernels {
namespace {

int repeats_for(double run_s, const Limits& limits) {
  if (run_s <= 0) return limits.repeats_max;
  const double wanted = std::ceil(limits.sample_s / run_s);
  return static_cast<int>(std::clamp(wanted, 1.0, static_cast<double>(limits.repeats_max)));
}

Measured summary(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  Measured out;
  out.count = static_cast<int>(samples.size());
  out.mean_s =
      std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
  out.min_s = samples.front();
  out.p10_s = quantile(samples, 0.10);
  out.p50_s = quantile(samples, 0.50);
  out.p90_s = quantile(samples, 0.90);
  out.p99_s = quantile(samples, 0.99);
  out.noise = median_noise(samples);
  return out;
}

}  // namespace

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median_noise(const std::vector<double>& sorted) {
  const auto count = static_cast<double>(sorted.size());
  if (sorted.size() < 6) return 1;
  const double reach = 1.96 * std::sqrt(count) / 2;
  const auto low = static_cast<std::size_t>(std::max(0.0, std::floor(count / 2 - reach) - 1));
  const auto high = static_cast<std::size_t>(std::min(count - 1, std::ceil(count / 2 + reach)));
  const double median = quantile(sorted, 0.5);
  return median > 0 ? (sorted[high] - sorted[low]) / 2 / median : 1;
}

Measured measure(Stopwatch& stopwatch, const Limits& limits) {
  for (int i = 0; i < limits.warm_up; ++i) stopwatch.time(1);
  const int repeats = repeats_for(stopwatch.time(1), limits);
  std::vector<double> samples;
  double total_s = 0;
  Measured out;
  do {
    const double sample_s = stopwatch.time(repeats);
    total_s += sample_s;
    samples.push_back(sample_s / repeats);
    if (static_cast<int>(samples.size()) < limits.samples_min) continue;
    out = summary(samples);
    if (out.noise <= limits.noise_max) break;
  } while (static_cast<int>(samples.size()) < limits.samples_min ||
           (static_cast<int>(samples.size()) < limits.samples_max && total_s < limits.total_s));
  out.repeats = repeats;
  out.noisy = out.noise > limits.noise_max;
  return out;
}

std::string above_peak(double rate, double peak, const std::string& what) {
  if (peak <= 0 || rate <= peak * (1 + kPeakTolerance)) return "";
  char text[200];
  std::snprintf(text, sizeof(text), "%.4g per second is above the measured peak of %s, %.4g", rate,
                what.c_str(), peak);
  return text;
}

}  // namespace kvsim::kernels
