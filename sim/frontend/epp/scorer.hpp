// A scorer of llm-d's endpoint picker. The profile clamps each score to [0, 1], multiplies it by
// the scorer's weight, and adds up; the sum is not divided by the weights.
#pragma once

#include <span>

#include "sim/frontend/epp/plugin.hpp"

namespace kvsim {

class EppScorer : public EppPlugin {
 public:
  static constexpr const char* kPlugin = "llm-d scorer";
  // scores[i] of replica candidates[i]; at least one candidate. O(candidates).
  virtual void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
                     std::span<double> scores) = 0;
};

}  // namespace kvsim
