#include "sim/base/stats.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

constexpr std::array kQuantiles{0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0};

double interpolated(std::vector<double> values, double quantile) {
  std::sort(values.begin(), values.end());
  const double position = quantile * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const auto above = static_cast<std::size_t>(std::ceil(position));
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<double> latencies(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(rng.lognormal(-3, 2));
  return out;
}

TEST(Percentiles, EqualABruteForceSort) {
  for (const std::size_t count : {1u, 2u, 3u, 10u, 101u, 5000u}) {
    const std::vector<double> values = latencies(count, count);
    Percentiles percentiles;
    for (const double value : values) percentiles.add(value);
    const std::vector<double> found = percentiles.quantiles(kQuantiles);
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const double expected = interpolated(values, kQuantiles[i]);
      EXPECT_NEAR(found[i], expected, 1e-7 * expected) << count << " values, " << kQuantiles[i];
    }
  }
}

TEST(Percentiles, NoValuesGiveZeros) {
  EXPECT_EQ(Percentiles().quantiles(kQuantiles), std::vector<double>(kQuantiles.size(), 0.0));
  EXPECT_EQ(Sketch().quantiles(kQuantiles), std::vector<double>(kQuantiles.size(), 0.0));
  EXPECT_EQ(Percentiles().mean(), 0);
}

TEST(Percentiles, EqualValuesGiveThatValue) {
  Percentiles percentiles;
  for (int i = 0; i < 1000; ++i) percentiles.add(0.1);
  for (const double value : percentiles.quantiles(kQuantiles)) EXPECT_FLOAT_EQ(value, 0.1);
}

TEST(Percentiles, StayExactUpToTheLimitAndSketchBeyondIt) {
  Percentiles percentiles(1000);
  const std::vector<double> values = latencies(1001, 1);
  for (std::size_t i = 0; i < 1000; ++i) percentiles.add(values[i]);
  EXPECT_TRUE(percentiles.exact());
  EXPECT_EQ(percentiles.relative_error(), 0);
  percentiles.add(values[1000]);
  EXPECT_FALSE(percentiles.exact());
  EXPECT_EQ(percentiles.count(), 1001);
  const std::vector<double> found = percentiles.quantiles(kQuantiles);
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    const double expected = interpolated(values, kQuantiles[i]);
    EXPECT_NEAR(found[i], expected, (percentiles.relative_error() + 1e-7) * expected);
  }
}

TEST(Percentiles, MeanAndMaximumSurviveTheSketch) {
  Percentiles percentiles(2);
  for (const double value : {1.0, 2.0, 6.0}) percentiles.add(value);
  EXPECT_DOUBLE_EQ(percentiles.mean(), 3);
  EXPECT_DOUBLE_EQ(percentiles.max(), 6);
}

TEST(Percentiles, MergedOnesEqualOneThatSawEverything) {
  const std::vector<double> values = latencies(3000, 4);
  for (const std::size_t limit : {10000u, 1600u, 100u}) {
    Percentiles whole(limit);
    Percentiles left(limit);
    Percentiles right(limit);
    for (std::size_t i = 0; i < values.size(); ++i) {
      whole.add(values[i]);
      (i < 1500 ? left : right).add(values[i]);
    }
    left.merge(right);
    EXPECT_EQ(left.exact(), whole.exact());
    EXPECT_EQ(left.count(), whole.count());
    const std::vector<double> found = left.quantiles(kQuantiles);
    const std::vector<double> expected = whole.quantiles(kQuantiles);
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 0.004 * expected[i]) << limit;
  }
}

TEST(Sketch, KeepsItsErrorBoundOverTwelveDecades) {
  for (double value = 1e-9; value < 1e3; value *= 1.0007) {
    Sketch sketch;
    sketch.add(value);
    sketch.add(value * 4);  // so that the maximum does not repair the answer
    const double found = sketch.quantiles(std::array{0.0})[0];
    ASSERT_LE(std::abs(found - value), Sketch::kRelativeError * value * (1 + 1e-9)) << value;
  }
}

TEST(Sketch, TheErrorBoundIsNearlyReached) {
  Sketch sketch;
  sketch.add(1.0);  // the lower end of a bucket
  sketch.add(2.0);
  const double found = sketch.quantiles(std::array{0.0})[0];
  EXPECT_GT(std::abs(found - 1.0), 0.95 * Sketch::kRelativeError);
  EXPECT_LT(Sketch::kRelativeError, 0.005);
}

TEST(Sketch, AWeightIsAsManyEqualValues) {
  Sketch weighted;
  Sketch single;
  Rng rng(3);
  for (int i = 0; i < 500; ++i) {
    const double value = rng.exponential(0.02);
    const auto weight = static_cast<std::int64_t>(rng.below(6));
    weighted.add(value, weight);
    for (std::int64_t k = 0; k < weight; ++k) single.add(value);
  }
  EXPECT_EQ(weighted.count(), single.count());
  EXPECT_EQ(weighted.quantiles(kQuantiles), single.quantiles(kQuantiles));
  EXPECT_NEAR(weighted.mean(), single.mean(), 1e-12);
}

TEST(Sketch, MergingIsAddingEverything) {
  Sketch whole;
  Sketch left;
  Sketch right;
  for (const double value : latencies(2000, 9)) {
    whole.add(value);
    (value < 0.05 ? left : right).add(value);
  }
  left.merge(right);
  EXPECT_EQ(left.quantiles(kQuantiles), whole.quantiles(kQuantiles));
  EXPECT_EQ(left.max(), whole.max());
}

TEST(Sketch, TakesZeroAndHugeValues) {
  Sketch sketch;
  sketch.add(0);
  sketch.add(1e300);
  const std::vector<double> found = sketch.quantiles(std::array{0.0, 1.0});
  EXPECT_EQ(found[0], 0);
  EXPECT_NEAR(found[1], 0x1.0p30, 0x1.0p30 * 0.01);
  EXPECT_EQ(sketch.max(), 1e300);
}

}  // namespace
}  // namespace kvsim
