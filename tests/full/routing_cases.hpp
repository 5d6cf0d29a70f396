// The measured routing study of llm-d (llmd_routing_37cap of the validation cases) beside our
// simulation of it: four policies, nine rates one after the other.
//
// A stage's throughput is what the load generator reports: its output tokens over the time from its
// first request to its last answer.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvsim {

// Without the warm-up.
inline constexpr std::array<int, 9> kRoutingRates = {3, 4, 5, 6, 8, 10, 12, 15, 20};
inline constexpr std::array<const char*, 4> kRoutingPolicies = {"precise", "default", "load",
                                                                "random"};

struct RoutedStage {
  double throughput = 0;  // output tokens per second
  double ttft = 0;        // seconds, mean
  double ttft_p90 = 0;
  double tpot = 0;  // seconds, mean; of measurements: two of the generator's intervals
  double e2e = 0;   // seconds, mean; not in the measurements
  double hit = 0;   // prompt tokens from HBM, 0..1; not in the measurements
  double preemptions = 0;
  double largest_share = 0;  // of the requests, at one replica; not in the measurements
};
using RoutedStages = std::array<RoutedStage, kRoutingRates.size()>;  // by rate

// Nothing when the measurements are not there.
[[nodiscard]] std::optional<RoutedStages> measured_stages(const std::string& policy);
// Means over runs with the seeds 1 to `seeds`, each in a child process. The policies are those of
// configs/experiments/llmd_routing_policies.json.
[[nodiscard]] RoutedStages simulated_stages(const std::string& policy, int seeds);

// Index of the first rate at which the mean time to first token exceeds `seconds`; the number of
// rates when it never does.
[[nodiscard]] std::size_t collapse(const RoutedStages& stages, double seconds);

}  // namespace kvsim
