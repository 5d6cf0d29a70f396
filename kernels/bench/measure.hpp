// Repeated measurement without a view of what is measured: warm-up, enough samples, a stop when the
// median is known well enough, quantiles, and what share of a measured peak a result reaches.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace kvsim::kernels {

// What an operation does, declared before it is timed, so that rates can be computed and checked.
struct Label {
  std::string name;
  std::variant<double, std::string> value;
};
struct Work {
  std::string operation;
  std::vector<Label> labels;
  double bytes = 0;  // payload
  double flops = 0;
  int at_once = 1;  // such operations under way together
};

// Times what is measured.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // Runs it `repeats` times and returns the seconds of all together.
  virtual double time(int repeats) = 0;
};

struct Limits {
  int warm_up = 3;  // runs whose times are thrown away
  int samples_min = 11;
  int samples_max = 101;
  double noise_max = 0.02;  // relative half width of the 95 % interval of the median
  double sample_s = 2e-4;   // short operations are repeated within a sample to last this long
  int repeats_max = 200;
  double total_s = 2;  // no more samples after this long, samples_min aside
};

struct Measured {
  int count = 0;    // samples
  int repeats = 1;  // runs per sample; the seconds below are per run
  double mean_s = 0;
  double min_s = 0;
  double p10_s = 0;
  double p50_s = 0;
  double p90_s = 0;
  double p99_s = 0;
  double noise = 0;
  bool noisy = false;  // stopped by samples_max or total_s, not by noise_max
};

Measured measure(Stopwatch& stopwatch, const Limits& limits);

// Of sorted, not empty samples: the q-quantile, between neighbours linearly.
double quantile(const std::vector<double>& sorted, double q);
// Half the width of the distribution-free 95 % interval of the median (order statistics of the
// binomial, normal approximation), divided by the median. 1 for fewer than 6 samples, which have
// no such interval.
double median_noise(const std::vector<double>& sorted);

// What a result above the measured peak, by more than the peak's own uncertainty, is: an error in
// one of the two. Empty when it is none, or when peak is 0 (not measured).
std::string above_peak(double rate, double peak, const std::string& what);
constexpr double kPeakTolerance = 0.05;

}  // namespace kvsim::kernels
