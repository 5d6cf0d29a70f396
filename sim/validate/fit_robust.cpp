#include "sim/validate/fit_robust.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

VectorXd of(const std::vector<FitParameter>& parameters, double FitParameter::*member) {
  VectorXd out(static_cast<Index>(parameters.size()));
  for (Index j = 0; j < out.size(); ++j) out[j] = parameters[static_cast<std::size_t>(j)].*member;
  return out;
}

VectorXd inside(VectorXd x, const std::vector<FitParameter>& parameters) {
  return x.cwiseMax(of(parameters, &FitParameter::low))
      .cwiseMin(of(parameters, &FitParameter::high));
}

// What a row weighs in a least-squares problem that has the Huber loss's gradient.
VectorXd row_weights(const VectorXd& residuals, const VectorXd& weights,
                     const RobustOptions& options) {
  const double variance = options.noise * options.noise;
  VectorXd out(weights.size());
  for (Index i = 0; i < out.size(); ++i) {
    const double far = std::abs(residuals[i]) / options.noise;
    out[i] = weights[i] / variance * (far > options.knee ? options.knee / far : 1);
  }
  return out;
}

// Normal equations in u: hessian * step = -gradient.
struct Normal {
  MatrixXd hessian;
  VectorXd gradient;
};

Normal normal_at(const Linearised& problem, const VectorXd& x,
                 const std::vector<FitParameter>& parameters, const RobustOptions& options) {
  const VectorXd spread = of(parameters, &FitParameter::spread);
  const MatrixXd scaled = problem.jacobian * spread.asDiagonal();
  const VectorXd residuals = problem.residuals_at(x);
  const VectorXd weights = row_weights(residuals, problem.weights, options);
  const VectorXd u = (x - of(parameters, &FitParameter::prior)).cwiseQuotient(spread);
  const auto n = static_cast<Index>(parameters.size());
  return {scaled.transpose() * weights.asDiagonal() * scaled + MatrixXd::Identity(n, n),
          scaled.transpose() * weights.cwiseProduct(residuals) + u};
}

// The step in u that keeps u + step within [low, high]: whoever is pushed against an end stays
// there and the others are solved for again.
VectorXd bounded_step(const Normal& normal, const VectorXd& low, const VectorXd& high) {
  const Index n = normal.gradient.size();
  VectorXd step = VectorXd::Zero(n);
  std::vector<bool> fixed(static_cast<std::size_t>(n), false);
  for (Index round = 0; round <= n; ++round) {
    std::vector<Index> free;
    for (Index j = 0; j < n; ++j)
      if (!fixed[static_cast<std::size_t>(j)]) free.push_back(j);
    if (free.empty()) return step;
    VectorXd held = step;
    for (const Index j : free) held[j] = 0;
    const VectorXd right = -(normal.gradient + normal.hessian * held);
    const VectorXd solved = normal.hessian(free, free).ldlt().solve(right(free));
    bool all_inside = true;
    for (std::size_t k = 0; k < free.size(); ++k) {
      const Index j = free[k];
      const auto at = static_cast<Index>(k);
      step[j] = std::clamp(solved[at], low[j], high[j]);
      if (step[j] == solved[at]) continue;
      fixed[static_cast<std::size_t>(j)] = true;
      all_inside = false;
    }
    if (all_inside) return step;
  }
  return step;
}

// Rows without a prediction somewhere count nowhere.
void drop_unknown(Linearised& problem) {
  for (Index i = 0; i < problem.residuals.size(); ++i) {
    if (std::isfinite(problem.residuals[i]) && problem.jacobian.row(i).allFinite()) continue;
    problem.residuals[i] = 0;
    problem.jacobian.row(i).setZero();
    problem.weights[i] = 0;
  }
}

VectorXd known(VectorXd residuals, const VectorXd& weights) {
  for (Index i = 0; i < residuals.size(); ++i)
    if (weights[i] == 0) residuals[i] = 0;
  return residuals;
}

MatrixXd measure_jacobian(const ResidualsAt& residuals_at, const Linearised& problem,
                          const std::vector<FitParameter>& parameters,
                          const RobustOptions& options) {
  MatrixXd out(problem.residuals.size(), problem.at.size());
  for (Index j = 0; j < problem.at.size(); ++j) {
    const FitParameter& parameter = parameters[static_cast<std::size_t>(j)];
    VectorXd x = problem.at;
    const double step = options.step_share * parameter.spread;
    x[j] += x[j] + step <= parameter.high ? step : -step;
    x[j] = std::clamp(x[j], parameter.low, parameter.high);
    KV_CHECK(x[j] != problem.at[j], "parameter {}: no room for a difference", parameter.name);
    out.col(j) = (residuals_at(x) - problem.residuals) / (x[j] - problem.at[j]);
  }
  return out;
}

}  // namespace

double robust_loss(const VectorXd& residuals, const VectorXd& weights, const VectorXd& x,
                   const std::vector<FitParameter>& parameters, const RobustOptions& options) {
  double loss = 0;
  for (Index i = 0; i < residuals.size(); ++i) {
    if (weights[i] == 0) continue;
    const double far = std::abs(residuals[i]) / options.noise;
    loss += weights[i] * (far > options.knee ? options.knee * (2 * far - options.knee) : far * far);
  }
  const VectorXd u = (x - of(parameters, &FitParameter::prior))
                         .cwiseQuotient(of(parameters, &FitParameter::spread));
  return loss + u.squaredNorm();
}

VectorXd solve_robust(const Linearised& problem, const std::vector<FitParameter>& parameters,
                      const RobustOptions& options) {
  const VectorXd spread = of(parameters, &FitParameter::spread);
  VectorXd x = inside(problem.at, parameters);
  constexpr int kRounds = 200;
  constexpr double kStill = 1e-9;
  for (int round = 0; round < kRounds; ++round) {
    const VectorXd low = (of(parameters, &FitParameter::low) - x).cwiseQuotient(spread);
    const VectorXd high = (of(parameters, &FitParameter::high) - x).cwiseQuotient(spread);
    const VectorXd step = bounded_step(normal_at(problem, x, parameters, options), low, high);
    x = inside(x + step.cwiseProduct(spread), parameters);
    if (step.cwiseAbs().maxCoeff() < kStill) break;
  }
  return x;
}

VectorXd half_widths(const Linearised& problem, const std::vector<std::string>& clusters,
                     const std::vector<FitParameter>& parameters, const RobustOptions& options) {
  const VectorXd spread = of(parameters, &FitParameter::spread);
  const MatrixXd scaled = problem.jacobian * spread.asDiagonal();
  const VectorXd weights = row_weights(problem.residuals, problem.weights, options);
  std::map<std::string, VectorXd> scores;
  for (Index i = 0; i < problem.residuals.size(); ++i) {
    if (weights[i] == 0) continue;
    auto [at, made] =
        scores.try_emplace(clusters[static_cast<std::size_t>(i)], VectorXd::Zero(spread.size()));
    at->second += weights[i] * problem.residuals[i] * scaled.row(i).transpose();
  }
  const auto n = static_cast<double>(scores.size());
  MatrixXd middle = MatrixXd::Zero(spread.size(), spread.size());
  for (const auto& [name, score] : scores) middle += score * score.transpose();
  if (n > 1) middle *= n / (n - 1);
  middle += MatrixXd::Identity(spread.size(), spread.size());  // the priors' own errors
  const MatrixXd bread = normal_at(problem, problem.at, parameters, options).hessian.inverse();
  const MatrixXd covariance = bread * middle * bread;
  constexpr double kNormal95 = 1.96;
  return kNormal95 * covariance.diagonal().cwiseSqrt().cwiseProduct(spread);
}

RobustFit fit_robust(const ResidualsAt& residuals_at, const VectorXd& weights,
                     const std::vector<FitParameter>& parameters, const RobustOptions& options) {
  RobustFit fit;
  const ResidualsAt counted = [&](const VectorXd& x) {
    ++fit.evaluations;
    return residuals_at(x);
  };
  Linearised& now = fit.end;
  now.at = inside(of(parameters, &FitParameter::prior), parameters);
  now.weights = weights;
  now.residuals = counted(now.at);
  now.jacobian = measure_jacobian(counted, now, parameters, options);
  drop_unknown(now);
  fit.loss_before = fit.loss = robust_loss(now.residuals, now.weights, now.at, parameters, options);
  const VectorXd spread = of(parameters, &FitParameter::spread);
  double share = 1;
  for (int round = 0; round < options.iterations; ++round) {
    const VectorXd step = share * (solve_robust(now, parameters, options) - now.at);
    if (step.cwiseQuotient(spread).cwiseAbs().maxCoeff() < options.close) break;
    VectorXd residuals = counted(now.at + step);
    for (Index i = 0; i < residuals.size(); ++i)
      if (!std::isfinite(residuals[i])) now.weights[i] = 0;
    residuals = known(std::move(residuals), now.weights);
    now.residuals = known(std::move(now.residuals), now.weights);
    // Broyden: the smallest change, in units of spread, that explains what the step did.
    const VectorXd scaled = step.cwiseQuotient(spread.cwiseAbs2());
    const VectorXd surprise = residuals - now.residuals - now.jacobian * step;
    now.jacobian += known(surprise, now.weights) * scaled.transpose() / step.dot(scaled);
    const double before = robust_loss(now.residuals, now.weights, now.at, parameters, options);
    const double loss = robust_loss(residuals, now.weights, now.at + step, parameters, options);
    if (loss >= before) {
      share /= 2;
      continue;
    }
    now.at += step;
    now.residuals = residuals;
    fit.loss = loss;
    share = std::min(1.0, 2 * share);
  }
  return fit;
}

VectorXd group_weights(const std::vector<std::string>& groups, const std::vector<bool>& counts) {
  std::map<std::string, int> rows;
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (counts[i]) ++rows[groups[i]];
  VectorXd out = VectorXd::Zero(static_cast<Index>(groups.size()));
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (counts[i]) out[static_cast<Index>(i)] = 1.0 / rows[groups[i]];
  return out;
}

}  // namespace kvsim
