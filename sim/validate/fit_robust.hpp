// Robust Gauss-Newton for few parameters and residuals that are costly and a little noisy.
//
// Minimised over the parameters' ranges:
//
//     sum over rows of weight * huber(residual / noise)  +  sum over parameters of u * u
//
// with u = (x - prior) / spread. Residuals are ln(predicted / measured). A row beyond the knee of
// the Huber loss counts with its distance instead of its square: a case that the model cannot
// explain does not pull the constants. Weights are such that each group of rows (study x metric
// class) counts as one observation with a standard error of `noise`, against which a parameter's
// prior is one observation with a standard error of `spread`. What the rows do not determine stays
// at its prior.
//
// After: P. J. Huber, Robust Estimation of a Location Parameter (1964); iteratively reweighted
// least squares; intervals by the sandwich estimator over clusters of rows (Liang and Zeger 1986).
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <string>
#include <vector>

namespace kvsim {

struct FitParameter {
  std::string name;
  double prior = 0;
  double spread = 1;  // standard error of the prior; also the scale of finite differences
  double low = 0;
  double high = 0;
};

struct RobustOptions {
  double noise = 0.1;       // standard error of a group of rows
  double knee = 1.5;        // of the Huber loss, in units of `noise`
  double step_share = 0.5;  // of a finite difference, of `spread`
  int iterations = 4;       // most Gauss-Newton steps
  double close = 0.02;      // stop when no parameter moves by more than this share of its spread
};

// Rows around a point: residual(x) = residuals + jacobian * (x - at).
struct Linearised {
  Eigen::VectorXd at;
  Eigen::VectorXd residuals;
  Eigen::MatrixXd jacobian;  // rows x parameters, in units of the parameters
  Eigen::VectorXd weights;   // 0: the row does not count

  [[nodiscard]] Eigen::VectorXd residuals_at(const Eigen::VectorXd& x) const {
    return residuals + jacobian * (x - at);
  }
};

// The value minimised.
[[nodiscard]] double robust_loss(const Eigen::VectorXd& residuals, const Eigen::VectorXd& weights,
                                 const Eigen::VectorXd& x,
                                 const std::vector<FitParameter>& parameters,
                                 const RobustOptions& options);

// Where the linearised problem has its minimum within the ranges.
[[nodiscard]] Eigen::VectorXd solve_robust(const Linearised& problem,
                                           const std::vector<FitParameter>& parameters,
                                           const RobustOptions& options);

// Half widths of 95 % intervals at `problem.at`. Rows of one cluster may err together.
[[nodiscard]] Eigen::VectorXd half_widths(const Linearised& problem,
                                          const std::vector<std::string>& clusters,
                                          const std::vector<FitParameter>& parameters,
                                          const RobustOptions& options);

// Rows' residuals at a point; NaN for rows without a prediction there: they count nowhere then.
using ResidualsAt = std::function<Eigen::VectorXd(const Eigen::VectorXd& x)>;

struct RobustFit {
  Linearised end;  // at the fitted values
  double loss_before = 0;
  double loss = 0;
  int evaluations = 0;
};

// From the priors. The Jacobian is measured once by one-sided differences and then follows by
// Broyden's rule, which costs no runs; a step that makes things worse is halved.
[[nodiscard]] RobustFit fit_robust(const ResidualsAt& residuals_at, const Eigen::VectorXd& weights,
                                   const std::vector<FitParameter>& parameters,
                                   const RobustOptions& options);

// For each row one over the number of rows of its group, 0 where `counts` is false.
[[nodiscard]] Eigen::VectorXd group_weights(const std::vector<std::string>& groups,
                                            const std::vector<bool>& counts);

}  // namespace kvsim
