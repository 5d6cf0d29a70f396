#include "sim/base/rng.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace kvsim {
namespace {

TEST(Rng, StreamsOfOneSeedAreIndependentAndRepeatable) {
  Rng a = stream(7, "a");
  Rng b = stream(7, "b");
  Rng again = stream(7, "a");
  const std::uint64_t first = a.bits();
  EXPECT_NE(first, b.bits());
  EXPECT_EQ(first, again.bits());
}

TEST(Rng, MomentsOfEachDistributionAreRight) {
  Rng rng = stream(1, "moments");
  constexpr int kDraws = 200'000;
  double exponential = 0;
  double normal = 0;
  double normal_square = 0;
  double gamma = 0;
  double small_gamma = 0;
  for (int i = 0; i < kDraws; ++i) {
    exponential += rng.exponential(3.0);
    const double z = rng.normal(5.0, 2.0);
    normal += z;
    normal_square += (z - 5.0) * (z - 5.0);
    gamma += rng.gamma(4.0, 0.5);
    small_gamma += rng.gamma(0.25, 4.0);
  }
  EXPECT_NEAR(exponential / kDraws, 3.0, 0.05);
  EXPECT_NEAR(normal / kDraws, 5.0, 0.03);
  EXPECT_NEAR(std::sqrt(normal_square / kDraws), 2.0, 0.03);
  EXPECT_NEAR(gamma / kDraws, 2.0, 0.03);
  EXPECT_NEAR(small_gamma / kDraws, 1.0, 0.03);
}

TEST(Rng, BelowCoversItsRangeEvenly) {
  Rng rng = stream(2, "below");
  std::array<int, 7> seen{};
  for (int i = 0; i < 70'000; ++i) ++seen.at(rng.below(7));
  for (const int n : seen) EXPECT_NEAR(n, 10'000, 500);
}

}  // namespace
}  // namespace kvsim
