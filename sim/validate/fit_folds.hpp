// Cross-validation of a fit: every study, GPU, ... is left out once, the constants are fitted to
// the others, and the rows left out are predicted with those. On the linearised problem, which
// costs no runs; the caller checks some folds with real ones.
#pragma once

#include <string>
#include <vector>

#include "sim/validate/fit_robust.hpp"

namespace kvsim {

struct Fold {
  std::string left_out;
  Eigen::VectorXd values;          // fitted without it
  std::vector<Eigen::Index> rows;  // left out
  Eigen::VectorXd residuals;       // of those rows, predicted with `values`
};

// One fold for each label, sorted by label. `groups` as in group_weights(): groups keep their
// weight when some of their rows are left out.
[[nodiscard]] std::vector<Fold> leave_each_out(const Linearised& fitted,
                                               const std::vector<std::string>& labels,
                                               const std::vector<std::string>& groups,
                                               const std::vector<FitParameter>& parameters,
                                               const RobustOptions& options);

}  // namespace kvsim
