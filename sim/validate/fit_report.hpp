// What a fit found: constants with intervals, errors before and after, and what cross-validation
// leaves of the gain.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/fit_folds.hpp"
#include "sim/validate/fit_plan.hpp"

namespace kvsim {

// The folds of one way to leave out, and what simulating some of them gave.
struct CrossValidation {
  std::string by;  // study, gpu
  std::vector<Fold> folds;
  struct Check {
    std::string left_out;
    double linear_percent = 0;     // median error of its rows on the linearised problem
    double simulated_percent = 0;  // of runs with the fold's constants
  };
  std::vector<Check> checks;
};

struct FitOutcome {
  FitPlan plan;
  std::vector<MeasuredRow> before;  // rows at the priors
  RobustFit fit;
  Eigen::VectorXd half_widths;  // 95 %
  std::vector<CrossValidation> cross;

  // Of the rows in the order of `before`: at the fitted values; as predicted by folds.
  [[nodiscard]] const Eigen::VectorXd& fitted() const { return fit.end.residuals; }
  [[nodiscard]] Eigen::VectorXd cross_validated(const CrossValidation& cross) const;
};

// Median of |predicted / measured - 1| in per cent over rows that count; 0 without rows.
[[nodiscard]] double median_percent(const std::vector<double>& residuals);

[[nodiscard]] std::string fit_table(const FitOutcome& outcome);
[[nodiscard]] Json fit_json(const FitOutcome& outcome);
// One line a row: case, metric, errors in per cent.
[[nodiscard]] std::string fit_rows_csv(const FitOutcome& outcome);

// Notes the constants of `model` with their intervals under "fitted" of its file's JSON; the values
// themselves are written by override_model().
void put_fitted(Json& file, const std::string& model, const FitOutcome& outcome);

// The file's text in the layout of models/engine: indented, sources and intervals on a line each.
[[nodiscard]] std::string engine_text(const Json& file);

}  // namespace kvsim
