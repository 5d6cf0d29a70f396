// Fits a form with a few coefficients to timings, and says how far to trust it: error on the rows
// it was fitted to, error on shapes it never saw, and intervals of the coefficients.
//
// The start is the form's own (linear least squares where the form allows it); from there damped
// Gauss-Newton steps lower the sum of soft-L1 losses of ln(form / measured), so that a factor of
// two counts alike at every size and outliers do not pull. Deterministic: groups are held out and
// resampled by named random streams. Fits of a few thousand rows take tens of milliseconds;
// `resamples` multiplies that.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvsim {

// One timing as a form sees it: inputs whose meaning is the form's, and the group (a shape) that is
// held out or resampled as a whole.
struct FitRow {
  std::array<double, 4> x{};
  double seconds = 0;
  std::int64_t group = 0;
};
using FitRows = std::vector<FitRow>;
using Coefficients = std::vector<double>;

struct StepForm {
  struct Parameter {
    const char* name;  // key of the profile block
    double low, high;
    double step;  // a size that matters: 1e-6 of a launch, 1 of a share; 0 = stays at its start
  };
  std::vector<Parameter> parameters;
  std::function<double(const Coefficients&, const FitRow&)> seconds;
  std::function<std::vector<Coefficients>(const FitRows&)> starts;  // the best end counts
};

struct FitOptions {
  double held_out_share = 0.2;  // of the groups; 0 = nothing is held out
  int resamples = 0;            // for intervals; 0 = none
  std::uint64_t seed = 1;
};

// Of |form / measured - 1|.
struct FitError {
  std::size_t rows = 0;
  double mean = 0;
  double p90 = 0;
  double bias = 0;  // mean with its sign; positive = the form is slower than measured
};

struct FitCoefficient {
  std::string name;
  double value = 0;
  double low = 0;  // 95 % interval; both the value itself without resamples
  double high = 0;
};

struct FitReport {
  std::string block;    // of the profile, e.g. "gemm_bf16"
  std::string rows_of;  // origin and filter of the rows, for the printed table
  std::vector<FitCoefficient> coefficients;
  std::size_t groups = 0;
  FitError training;  // of the coefficients given, over all rows
  FitError held_out;  // of a fit without the held-out groups, on those; 0 rows = too few groups
};

// Coefficients in the order of form.parameters. `rows` must hold more rows than coefficients.
struct StepFit {
  Coefficients values;
  FitReport report;
};
StepFit fit_form(const StepForm& form, const FitRows& rows, const FitOptions& options);

// Relative errors summed up; `errors` are form / measured - 1.
FitError fit_error(std::vector<double> errors);
FitError fit_error(const StepForm& form, const Coefficients& values, const FitRows& rows);

// Least squares of sum((sum_j c_j row.x[j] + constant) / t - 1)^2 with c >= 0: `columns` inputs of
// each row, plus a constant first when `with_constant`. A coefficient that would be negative is 0.
Coefficients linear_relative_fit(const FitRows& rows, std::size_t columns, bool with_constant);

}  // namespace kvsim
