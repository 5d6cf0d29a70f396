#include "sim/validate/fit_robust.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/validate/fit_folds.hpp"

namespace kvsim {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Sixty rows in three groups whose residuals vanish at (3, 0.5).
struct Synthetic {
  std::vector<FitParameter> parameters = {{"a", 1, 10, 0, 20}, {"b", 0.2, 5, 0, 10}};
  RobustOptions options;
  std::vector<std::string> groups;
  VectorXd weights;
  double curvature = 0;
  int outliers = 0;

  Synthetic() {
    for (int i = 0; i < 60; ++i)
      groups.push_back(i % 3 == 0 ? "one" : i % 3 == 1 ? "two" : "three");
    weights = group_weights(groups, std::vector<bool>(60, true));
    options.noise = 0.02;
    options.iterations = 12;
  }
  [[nodiscard]] VectorXd residuals(const VectorXd& x) const {
    VectorXd out(60);
    for (Index i = 0; i < 60; ++i) {
      const double a = x[0] - 3, b = x[1] - 0.5, t = static_cast<double>(i) / 60;
      out[i] = 0.1 * a * (1 - t) + 0.3 * b * t + curvature * a * a + curvature * a * b;
      if (i < outliers) out[i] += 4;
    }
    return out;
  }
  [[nodiscard]] RobustFit fit() const {
    return fit_robust([this](const VectorXd& x) { return residuals(x); }, weights, parameters,
                      options);
  }
};

TEST(FitRobust, TheMinimumOfALinearProblemIsFoundInOneStep) {
  Synthetic problem;
  problem.options.iterations = 1;
  const RobustFit fit = problem.fit();
  EXPECT_NEAR(fit.end.at[0], 3, 0.02);
  EXPECT_NEAR(fit.end.at[1], 0.5, 0.02);
  EXPECT_LT(fit.loss, fit.loss_before / 100);
}

TEST(FitRobust, CurvedResidualsTakeSeveralSteps) {
  Synthetic problem;
  problem.curvature = 0.01;
  const RobustFit fit = problem.fit();
  EXPECT_NEAR(fit.end.at[0], 3, 0.1);
  EXPECT_NEAR(fit.end.at[1], 0.5, 0.1);
}

TEST(FitRobust, AFewRowsThatNothingExplainsDoNotPullTheParameters) {
  Synthetic problem;
  problem.outliers = 5;
  EXPECT_NEAR(problem.fit().end.at[0], 3, 0.3);
  problem.options.knee = 1e9;  // least squares
  EXPECT_GT(std::abs(problem.fit().end.at[0] - 3), 1.0);
}

TEST(FitRobust, ARangeIsKeptAndTheOthersAreFittedToIt) {
  Synthetic problem;
  problem.parameters[0].high = 2;
  const RobustFit fit = problem.fit();
  EXPECT_EQ(fit.end.at[0], 2);
  EXPECT_GT(fit.end.at[1], 0.55);  // makes up for what the first may not
}

TEST(FitRobust, WhatNoRowDeterminesStaysAtItsPriorWithItsInterval) {
  Synthetic problem;
  problem.parameters.push_back({"idle", 7, 2, 0, 100});
  const RobustFit fit = problem.fit();
  EXPECT_NEAR(fit.end.at[2], 7, 1e-9);
  const VectorXd half = half_widths(fit.end, problem.groups, problem.parameters, problem.options);
  EXPECT_NEAR(half[2], 1.96 * 2, 1e-6);
  EXPECT_LT(half[0], 1);
}

TEST(FitRobust, RowsWithoutAPredictionCountNowhere) {
  Synthetic problem;
  problem.outliers = 1;
  const RobustFit fit = fit_robust(
      [&](const VectorXd& x) {
        VectorXd out = problem.residuals(x);
        out[0] = std::numeric_limits<double>::quiet_NaN();
        return out;
      },
      problem.weights, problem.parameters, problem.options);
  EXPECT_EQ(fit.end.weights[0], 0);
  EXPECT_NEAR(fit.end.at[0], 3, 0.02);
}

TEST(FitRobust, AGroupOfManyRowsCountsAsMuchAsOneOfFew) {
  const VectorXd weights =
      group_weights({"a", "a", "a", "b", "b"}, {true, true, true, true, false});
  EXPECT_NEAR(weights.head(3).sum(), 1, 1e-12);
  EXPECT_EQ(weights[3], 1);
  EXPECT_EQ(weights[4], 0);
}

// One parameter, two labels that disagree about it: each is predicted from the other.
TEST(FitFolds, ALabelIsPredictedFromTheOthersOnly) {
  const std::vector<FitParameter> parameters = {{"a", 0, 100, -10, 10}};
  Linearised problem;
  problem.at = VectorXd::Zero(1);
  problem.residuals = VectorXd(4);
  problem.residuals << -0.1, -0.1, -0.3, -0.3;  // vanish at 1, 1, 3 and 3
  problem.jacobian = MatrixXd::Constant(4, 1, 0.1);
  const std::vector<std::string> labels = {"x", "x", "y", "y"};
  problem.weights = group_weights(labels, {true, true, true, true});
  const auto folds = leave_each_out(problem, labels, labels, parameters, {});
  ASSERT_EQ(folds.size(), 2u);
  EXPECT_EQ(folds[0].left_out, "x");
  EXPECT_NEAR(folds[0].values[0], 3, 0.01);
  EXPECT_NEAR(folds[0].residuals[0], 0.2, 0.001);
  EXPECT_NEAR(folds[1].values[0], 1, 0.01);
  EXPECT_NEAR(folds[1].residuals[1], -0.2, 0.001);
}

}  // namespace
}  // namespace kvsim
