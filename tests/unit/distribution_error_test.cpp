#include "sim/validate/distribution_error.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace kvsim {
namespace {

TEST(DistributionError, OfAListAgainstItselfIsNothing) {
  const std::vector<double> values = {3, 1, 2, 2, 5};
  const DistributionError error = distribution_error(values, values, true);
  EXPECT_EQ(error.kolmogorov, 0);
  for (const double percent : error.signed_percent) EXPECT_EQ(percent, 0);
  EXPECT_NEAR(error.rank_correlation.value(), 1, 1e-12);
}

TEST(DistributionError, TwiceAsSlowIsPlus100PercentAtEveryQuantile) {
  const std::vector<double> measured = {1, 2, 3, 4};
  const std::vector<double> predicted = {8, 6, 4, 2};
  const DistributionError error = distribution_error(predicted, measured, true);
  for (const double percent : error.signed_percent) EXPECT_NEAR(percent, 100, 1e-9);
  EXPECT_NEAR(error.kolmogorov, 0.5, 1e-12);  // below 2: half of the measured, none predicted
  EXPECT_NEAR(error.rank_correlation.value(), -1, 1e-12);
}

TEST(DistributionError, ListsThatDoNotMeetAreAtDistance1) {
  const std::vector<double> measured = {1, 2};
  const std::vector<double> predicted = {5, 6, 7};
  EXPECT_EQ(distribution_error(predicted, measured, false).kolmogorov, 1);
}

TEST(DistributionError, NoCorrelationIsGivenForOtherRequestsOrEqualValues) {
  const std::vector<double> measured = {1, 2};
  const std::vector<double> equal = {1, 1};
  EXPECT_FALSE(distribution_error(equal, measured, true).rank_correlation);
  EXPECT_FALSE(distribution_error(measured, measured, false).rank_correlation);
}

}  // namespace
}  // namespace kvsim
