#include "sim/workload/distribution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace kvsim {
namespace {

constexpr int kDraws = 200000;

struct Moments {
  double mean = 0;
  double deviation = 0;
  double least = 1e300;
  double most = -1e300;
};

template <class Draw>
Moments moments(Draw draw) {
  double sum = 0;
  double squares = 0;
  Moments out;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw();
    sum += x;
    squares += x * x;
    out.least = std::min(out.least, x);
    out.most = std::max(out.most, x);
  }
  out.mean = sum / kDraws;
  out.deviation = std::sqrt(squares / kDraws - out.mean * out.mean);
  return out;
}

Moments of_counts(const std::string& text) {
  const Json json = parse_json(text, "test");
  const CountDistribution distribution(read_config<CountConfig>(ConfigNode(json, "test")), "/x");
  Rng rng = stream(1, "test");
  return moments([&] { return static_cast<double>(distribution.draw(rng)); });
}

Moments of_pauses(const std::string& text) {
  const Json json = parse_json(text, "test");
  const PauseDistribution distribution(read_config<PauseConfig>(ConfigNode(json, "test")), "/x");
  Rng rng = stream(1, "test");
  return moments([&] { return distribution.draw(rng).count(); });
}

TEST(CountDistribution, AConstantIsTheNumber) {
  const Moments m = of_counts(R"({"kind": "constant", "value": 7})");
  EXPECT_EQ(m.least, 7);
  EXPECT_EQ(m.most, 7);
}

TEST(CountDistribution, UniformReachesBothEnds) {
  const Moments m = of_counts(R"({"kind": "uniform", "min": 3, "max": 12})");
  EXPECT_EQ(m.least, 3);
  EXPECT_EQ(m.most, 12);
  EXPECT_NEAR(m.mean, 7.5, 0.03);
}

TEST(CountDistribution, NormalKeepsItsMomentsWhenNothingIsCut) {
  const Moments m = of_counts(R"({"kind": "normal", "mean": 5000, "deviation": 300})");
  EXPECT_NEAR(m.mean, 5000, 3);
  EXPECT_NEAR(m.deviation, 300, 3);
}

TEST(CountDistribution, TruncatedNormalHasItsClosedFormAndNothingPilesUpAtTheEnds) {
  const Moments m =
      of_counts(R"({"kind": "normal", "mean": 768, "deviation": 128, "min": 512, "max": 1024})");
  EXPECT_GE(m.least, 512);
  EXPECT_LE(m.most, 1024);
  EXPECT_NEAR(m.mean, 768, 1);
  // Cut at 2 deviations: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = 0.8796 of 128.
  EXPECT_NEAR(m.deviation, 112.6, 0.7);
}

TEST(CountDistribution, ANormalCutNarrowlyIsNearlyUniform) {
  const Moments m =
      of_counts(R"({"kind": "normal", "mean": 50, "deviation": 1e6, "min": 1, "max": 100})");
  EXPECT_EQ(m.least, 1);
  EXPECT_EQ(m.most, 100);
  EXPECT_NEAR(m.mean, 50.5, 0.3);
  EXPECT_NEAR(m.deviation, 100 / std::sqrt(12), 0.3);
}

TEST(CountDistribution, LognormalHasTheMeanAndDeviationOfTheNumbersThemselves) {
  const Moments m = of_counts(R"({"kind": "lognormal", "mean": 2000, "deviation": 1000})");
  EXPECT_NEAR(m.mean, 2000, 10);
  EXPECT_NEAR(m.deviation, 1000, 20);
}

TEST(CountDistribution, LognormalKeepsWithinItsBounds) {
  const Moments m = of_counts(
      R"({"kind": "lognormal", "mean": 2000, "deviation": 2000, "min": 100, "max": 4000})");
  EXPECT_GE(m.least, 100);
  EXPECT_LE(m.most, 4000);
}

TEST(CountDistribution, EmpiricalTakesEachValueEquallyOften) {
  const Moments m = of_counts(R"({"kind": "empirical", "values": [1, 1, 1, 9]})");
  EXPECT_NEAR(m.mean, 3, 0.03);
}

TEST(CountDistribution, EmpiricalReadsAColumnOfACsvFile) {
  const std::string path = testing::TempDir() + "lengths.csv";
  std::ofstream(path) << "name,tokens\na,10\nb,20\n";
  const Moments m =
      of_counts(R"({"kind": "empirical", "file": ")" + path + R"(", "column": "tokens"})");
  EXPECT_NEAR(m.mean, 15, 0.1);
  EXPECT_THROW(of_counts(R"({"kind": "empirical", "file": ")" + path + R"("})"), ConfigError);
  EXPECT_THROW(of_counts(R"({"kind": "empirical", "file": ")" + path + R"(", "column": "none"})"),
               TraceError);
  std::remove(path.c_str());
}

TEST(CountDistribution, ImpossibleBoundsAreErrors) {
  EXPECT_THROW(of_counts(R"({"kind": "uniform", "min": 3, "max": 2})"), ConfigError);
  EXPECT_THROW(of_counts(R"({"kind": "uniform", "max": 2})"), ConfigError);
  EXPECT_THROW(of_counts(R"({"kind": "lognormal", "mean": 10, "deviation": 100, "min": 9})"),
               ConfigError);
  EXPECT_THROW(of_counts(R"({"kind": "empirical"})"), ConfigError);
}

TEST(PauseDistribution, ExponentialHasItsMeanAsDeviation) {
  const Moments m = of_pauses(R"({"kind": "exponential", "mean_s": 4})");
  EXPECT_NEAR(m.mean, 4, 0.04);
  EXPECT_NEAR(m.deviation, 4, 0.06);
}

TEST(PauseDistribution, LognormalHasTheMeanAndDeviationOfThePausesThemselves) {
  const Moments m = of_pauses(R"({"kind": "lognormal", "mean_s": 10, "deviation_s": 5})");
  EXPECT_NEAR(m.mean, 10, 0.05);
  EXPECT_NEAR(m.deviation, 5, 0.1);
}

TEST(PauseDistribution, NoMeanIsNoPause) {
  EXPECT_EQ(of_pauses(R"({"kind": "exponential"})").most, 0);
}

}  // namespace
}  // namespace kvsim
