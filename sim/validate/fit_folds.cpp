#include "sim/validate/fit_folds.hpp"

#include <set>

namespace kvsim {

namespace {

using Eigen::Index;

Fold leave_out(const std::string& label, const Linearised& fitted,
               const std::vector<std::string>& labels, const std::vector<std::string>& groups,
               const std::vector<FitParameter>& parameters, const RobustOptions& options) {
  Fold fold;
  fold.left_out = label;
  std::vector<bool> counts(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool known = fitted.weights[static_cast<Index>(i)] > 0;
    counts[i] = known && labels[i] != label;
    if (known && labels[i] == label) fold.rows.push_back(static_cast<Index>(i));
  }
  Linearised others = fitted;
  others.weights = group_weights(groups, counts);
  fold.values = solve_robust(others, parameters, options);
  fold.residuals = fitted.residuals_at(fold.values)(fold.rows);
  return fold;
}

}  // namespace

std::vector<Fold> leave_each_out(const Linearised& fitted, const std::vector<std::string>& labels,
                                 const std::vector<std::string>& groups,
                                 const std::vector<FitParameter>& parameters,
                                 const RobustOptions& options) {
  std::vector<Fold> out;
  for (const std::string& label : std::set<std::string>(labels.begin(), labels.end())) {
    Fold fold = leave_out(label, fitted, labels, groups, parameters, options);
    if (!fold.rows.empty()) out.push_back(std::move(fold));
  }
  return out;
}

}  // namespace kvsim
