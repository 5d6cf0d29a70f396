// llm-d's routing policies against measurements: 4 replicas of Llama-3.1-70B (4 H100 each), prompts
// that share long beginnings, rates from 3 to 20 requests per second (docs/routing_accuracy.md).
//
// Asserted is what holds; the table shows all. What does not hold is named in the page and here:
// the measured saturation of the default policy above 12 requests per second.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/full/routing_cases.hpp"

namespace kvsim {
namespace {

constexpr int kSeeds = 5;        // ties, random choices
constexpr double kNoise = 1.05;  // differences below are noise of single runs
constexpr double kTolerance = 0.15;

struct Policy {
  RoutedStages measured;
  RoutedStages simulated;
};

class LlmDRouting : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* name : kRoutingPolicies) {
      const auto measured = measured_stages(name);
      if (!measured) return;
      policies_[name] = {*measured, simulated_stages(name, kSeeds)};
      print(name, policies_[name]);
    }
  }
  static void TearDownTestSuite() { policies_.clear(); }
  void SetUp() override {
    if (policies_.empty()) GTEST_SKIP() << "no measurements in ../shared/validation";
  }

  static void print(const char* name, const Policy& policy) {
    std::printf("%s: simulated / measured\n", name);
    std::printf(
        "  rate  output tokens/s         mean TTFT s    p90 TTFT s     TPOT ms    "
        "e2e s  hit    preempted  largest share\n");
    for (std::size_t i = 0; i < kRoutingRates.size(); ++i) {
      const RoutedStage& s = policy.simulated[i];
      const RoutedStage& m = policy.measured[i];
      std::printf(
          "  %4d  %5.0f /%5.0f (%+5.1f %%)  %6.2f /%6.2f  %6.2f /%6.2f  %4.1f /%4.1f  "
          "%5.1f  %.3f  %6.1f  %13.2f\n",
          kRoutingRates[i], s.throughput, m.throughput, 100 * (s.throughput / m.throughput - 1),
          s.ttft, m.ttft, s.ttft_p90, m.ttft_p90, 1e3 * s.tpot, 1e3 * m.tpot, s.e2e, s.hit,
          s.preemptions, s.largest_share);
    }
    std::fflush(stdout);  // or the next child prints it again
  }

  static std::map<std::string, Policy> policies_;
};

std::map<std::string, Policy> LlmDRouting::policies_;

// Where the measured throughputs of two policies differ by more than noise.
TEST_F(LlmDRouting, PoliciesComeInTheMeasuredOrderAtEveryRate) {
  for (const auto& [a, first] : policies_) {
    for (const auto& [b, second] : policies_) {
      for (std::size_t i = 0; i < kRoutingRates.size(); ++i) {
        if (first.measured[i].throughput < kNoise * second.measured[i].throughput) continue;
        const double ratio = first.simulated[i].throughput / second.simulated[i].throughput;
        // The default policy's replicas are balanced here and were not there: no difference.
        const bool known = a == "precise" && b == "default";
        if (ratio <= 1)
          std::printf("not in order at %d: %s / %s simulated %.2f, measured %.2f\n",
                      kRoutingRates[i], a.c_str(), b.c_str(), ratio,
                      first.measured[i].throughput / second.measured[i].throughput);
        EXPECT_GT(ratio, known ? 1 / kNoise : 1)
            << a << " over " << b << " at " << kRoutingRates[i];
      }
    }
  }
}

TEST_F(LlmDRouting, EachPolicyCollapsesWithinOneStepOfTheMeasuredRate) {
  for (const double seconds : {2.0, 5.0}) {
    for (const auto& [name, policy] : policies_) {
      const auto measured = static_cast<double>(collapse(policy.measured, seconds));
      const auto simulated = static_cast<double>(collapse(policy.simulated, seconds));
      std::printf("%s: mean TTFT above %.0f s from step %.0f on, measured %.0f\n", name.c_str(),
                  seconds, simulated, measured);
      EXPECT_NEAR(simulated, measured, 1) << name;
    }
  }
}

TEST_F(LlmDRouting, ThroughputIsWithin15PercentAtNearlyEveryRate) {
  int far = 0;
  for (const auto& [name, policy] : policies_) {
    double error = 0;
    for (std::size_t i = 0; i < kRoutingRates.size(); ++i) {
      const double off = policy.simulated[i].throughput / policy.measured[i].throughput - 1;
      error += std::abs(off) / kRoutingRates.size();
      if (std::abs(off) <= kTolerance) continue;
      ++far;
      std::printf("%s at %d: throughput %+.1f %%\n", name.c_str(), kRoutingRates[i], 100 * off);
    }
    EXPECT_LT(error, kTolerance) << name;
  }
  EXPECT_LE(far, 8) << "of 36";
}

}  // namespace
}  // namespace kvsim
