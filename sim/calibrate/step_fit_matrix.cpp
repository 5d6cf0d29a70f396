// Matrix products and experts: row.x = {compute, memory, quantise or spare, ...} in seconds at the
// datasheet's peaks. For fixed exponent p and launch t0 the form is linear in eC^-p and eW^-p:
// the start minimises sum(((a C^p + b M^p) / (t - t0)^p - 1)^2) on a grid of p and t0 and keeps the
// best mean relative error. The quantising pass of fp8 is linear beside it and only refined.
#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/units.hpp"
#include "sim/calibrate/step_fit_forms.hpp"

namespace kvsim {

namespace {

constexpr std::array kExponents{1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0};
constexpr std::array kLaunches{0.0, 2e-6, 4e-6, 6e-6, 8e-6};
constexpr double kRowPadding = 64;
constexpr double kRowPaddingFp8 = 16;
constexpr double kAlignment = 4;
constexpr double kPastGraphs = 512;     // batches beyond the captured ones are not padded
constexpr double kLargeProduct = 16e6;  // n k
constexpr double kQuantiseBytes = 5;
constexpr double kActivationBytes = 2;
// Beyond these shapes no model of models/llm goes; smaller ones are mostly launch.
constexpr double kSmallestSide = 1024;
constexpr double kLargestOut = 32768;
constexpr double kLargestRows = 16384;
constexpr double kCacheMargin = 2;  // bytes over the second-level cache's that count as memory

// A parameter block that both forms share: indices into Coefficients.
enum Parameter { kLaunch, kCompute, kMemory, kExponent, kExtra };

double combine(double a, double b, double exponent) {
  const double larger = std::max(a, b);
  if (larger == 0) return 0;
  return larger * std::pow(1 + std::pow(std::min(a, b) / larger, exponent), 1 / exponent);
}

struct Powers {
  double compute, memory;  // a, b
};

// The 2 x 2 normal equations; nothing when a share comes out negative.
std::optional<Powers> solve_powers(const FitRows& rows, double exponent, double launch,
                                   const std::function<double(const FitRow&)>& memory) {
  Eigen::Matrix2d matrix = Eigen::Matrix2d::Zero();
  Eigen::Vector2d right = Eigen::Vector2d::Zero();
  for (const FitRow& row : rows) {
    const double rest = row.seconds - launch;
    if (rest <= 0) return std::nullopt;
    const Eigen::Vector2d x(std::pow(row.x[0] / rest, exponent),
                            std::pow(memory(row) / rest, exponent));
    matrix += x * x.transpose();
    right += x;
  }
  const Eigen::Vector2d solved = matrix.ldlt().solve(right);
  if (!(solved[0] > 0) || !(solved[1] > 0)) return std::nullopt;
  return Powers{solved[0], solved[1]};
}

// `extra` is the last coefficient, held while the others are searched.
Coefficients grid_start(const StepForm& form, const FitRows& rows, double extra,
                        const std::function<double(const FitRow&)>& memory) {
  Coefficients best;
  double best_error = 0;
  for (const double exponent : kExponents)
    for (const double launch : kLaunches) {
      const auto powers = solve_powers(rows, exponent, launch, memory);
      if (!powers) continue;
      Coefficients values{launch, std::pow(powers->compute, -1 / exponent),
                          std::pow(powers->memory, -1 / exponent), exponent, extra};
      values.resize(form.parameters.size());
      const double error = fit_error(form, values, rows).mean;
      if (best.empty() || error < best_error) {
        best = values;
        best_error = error;
      }
    }
  if (best.empty()) best = {0, 0.7, 0.8, 2, extra};
  best.resize(form.parameters.size());
  return best;
}

// Later releases quantise in less than half the time and multiply with other kernels; what is
// simulated most (0.11 to 0.15) is nearer to this one.
constexpr std::string_view kFp8Release = "0.14.0";

bool is_preferred_fp8(const GemmTiming& timing) {
  return timing.dtype == "fp8" && timing.origin.release == kFp8Release;
}

bool is_unaligned(double rows) { return rows > 2 && std::fmod(rows, kAlignment) != 0; }

double distinct_share(double untouched_share, double skew) {
  const double share = 1 - untouched_share;
  return share * (1 - 4 * skew * share * (1 - share));
}

// x = {compute, weights of all experts, share of experts that no token asks for, share of one}
double mixture_memory(const FitRow& row, double skew) {
  return row.x[1] * std::max(row.x[3], distinct_share(row.x[2], skew));
}

}  // namespace

StepForm gemm_form(bool fp8, double largest_share) {
  StepForm form;
  form.parameters = {{"launch_s", 0, 1e-4, 1e-6},
                     {"compute_efficiency", 0.01, largest_share, 1},
                     {"memory_efficiency", 0.01, 1.2, 1},
                     // A sum would give one row the cost of a tile: it stood for the quantising
                     // kernel, which has a launch of its own.
                     {"exponent", fp8 ? 2.0 : 1.0, 20, 1}};
  if (fp8) form.parameters.push_back({"quantise_efficiency", 0.01, 5, 1});
  form.seconds = [fp8](const Coefficients& c, const FitRow& row) {
    return c[kLaunch] + (fp8 ? row.x[2] / c[kExtra] : 0) +
           combine(row.x[0] / c[kCompute], row.x[1] / c[kMemory], c[kExponent]);
  };
  form.starts = [form](const FitRows& rows) {
    return std::vector<Coefficients>{
        grid_start(form, rows, 1, [](const FitRow& row) { return row.x[1]; })};
  };
  return form;
}

FitRows gemm_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                  std::string& rows_of) {
  const bool fp8 = dtype == "fp8";
  const double element = fp8 ? 1 : 2;
  const double peak = fp8 ? peaks.fp8_flops_per_s : peaks.bf16_flops_per_s;
  const double width = peaks.memory.count();
  FitRows rows;
  const bool preferred = fp8 && std::any_of(table.gemm.begin(), table.gemm.end(), is_preferred_fp8);
  const auto timings = newest(table.gemm, [&](const GemmTiming& timing) {
    return timing.dtype == dtype && (!preferred || timing.origin.own || is_preferred_fp8(timing));
  });
  for (const GemmTiming& t : timings) {
    if (t.n < kSmallestSide || t.k < kSmallestSide) continue;
    if (t.n > kLargestOut || t.m > kLargestRows) continue;
    if (t.weight_copies * t.n * t.k * element < kCacheMargin * peaks.l2.real()) continue;
    if (fp8 && is_unaligned(t.m)) continue;
    const double tile = fp8 && t.m <= kRowPadding ? kRowPaddingFp8 : kRowPadding;
    const double padded = tile * std::ceil(t.m / tile);
    const double bytes = (t.m + t.n) * t.k * element + kActivationBytes * t.m * t.n;
    rows.push_back(
        {{2 * padded * t.n * t.k / peak, bytes / width, kQuantiseBytes * t.m * t.k / width},
         t.seconds,
         static_cast<std::int64_t>(t.n * 1e6 + t.k)});
  }
  if (!timings.empty()) rows_of = timings.front().origin.release;
  return rows;
}

double unaligned_rows(const OperatorTable& table, const GemmFit& fit, const GpuPeaks& peaks) {
  using Shape = std::array<double, 3>;
  std::map<Shape, double> aligned;
  const auto timings = newest(table.gemm, [](const GemmTiming& t) {
    return t.dtype == "fp8" && t.n * t.k >= kLargeProduct && t.n <= kLargestOut;
  });
  for (const GemmTiming& t : timings) aligned[{t.m, t.n, t.k}] = t.seconds;
  std::vector<double> rows;
  for (const GemmTiming& t : timings) {
    if (!is_unaligned(t.m) || t.m < kPastGraphs || t.m > 4 * kPastGraphs) continue;
    const auto one_less = aligned.find({t.m - 1, t.n, t.k});
    if (one_less == aligned.end()) continue;
    const double row = 2 * t.n * t.k / (fit.compute * peaks.fp8_flops_per_s);
    rows.push_back((t.seconds - one_less->second) / row);
  }
  if (rows.empty()) return 0;
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
  std::nth_element(rows.begin(), middle, rows.end());
  return std::max(0.0, *middle);
}

StepForm mixture_form() {
  StepForm form;
  form.parameters = {{"launch_s", 0, 1e-3, 1e-6},
                     {"compute_efficiency", 0.01, 1.2, 1},
                     {"memory_efficiency", 0.01, 1.2, 1},
                     {"exponent", 1, 20, 1},
                     {"routing_skew", 0, 1, 1}};
  form.seconds = [](const Coefficients& c, const FitRow& row) {
    return c[kLaunch] + combine(row.x[0] / c[kCompute], mixture_memory(row, c[kExtra]) / c[kMemory],
                                c[kExponent]);
  };
  form.starts = [form](const FitRows& rows) {
    Coefficients best;
    for (const double skew : {0.0, 0.15, 0.3}) {
      const Coefficients values = grid_start(
          form, rows, skew, [skew](const FitRow& row) { return mixture_memory(row, skew); });
      if (best.empty() || fit_error(form, values, rows).mean < fit_error(form, best, rows).mean)
        best = values;
    }
    return std::vector<Coefficients>{best};
  };
  return form;
}

FitRows mixture_rows(const OperatorTable& table, const GpuPeaks& peaks, std::string& rows_of) {
  const auto skewed = [](const MixtureTiming& t) { return t.distribution != "balanced"; };
  const bool any_skewed = std::any_of(table.mixture.begin(), table.mixture.end(), skewed);
  const auto timings = newest(table.mixture, [&](const MixtureTiming& t) {
    return t.dtype == "bf16" && t.expert_parallel == 1 && (skewed(t) || !any_skewed);
  });
  FitRows rows;
  for (const MixtureTiming& t : timings) {
    constexpr double kElement = 2;
    const double elements = 3 * t.hidden * t.width / t.tensor_parallel;
    const double untouched = std::pow(1 - t.used / t.experts, t.tokens);
    rows.push_back(
        {{2 * t.tokens * t.used * elements / peaks.bf16_flops_per_s,
          t.experts * elements * kElement / peaks.memory.count(), untouched, t.used / t.experts},
         t.seconds,
         static_cast<std::int64_t>(((t.hidden * 1e5 + t.width) * 1e3 + t.experts) * 10 +
                                   t.tensor_parallel)});
  }
  if (!timings.empty()) rows_of = timings.front().origin.release;
  return rows;
}

}  // namespace kvsim
