// What one Dynamo planner looks after: a pool that does all of the work, or a prefill and a decode
// pool. The first prefill pool belongs to the first decode pool, the second to the second.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "sim/frontend/autoscaler.hpp"

namespace kvsim {

struct Deployment {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  // Indices of pools; without a pool for it kNone. An aggregated pool is both.
  std::size_t prefill = kNone;
  std::size_t decode = kNone;

  [[nodiscard]] bool aggregated() const { return prefill == decode; }
};

inline std::vector<Deployment> deployments_of(std::span<const PoolMetrics> pools) {
  std::vector<Deployment> out;
  std::vector<std::size_t> prefill;
  std::vector<std::size_t> decode;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].role == Role::kAggregated) out.push_back({i, i});
    if (pools[i].role == Role::kPrefill) prefill.push_back(i);
    if (pools[i].role == Role::kDecode) decode.push_back(i);
  }
  for (std::size_t i = 0; i < std::max(prefill.size(), decode.size()); ++i)
    out.push_back({i < prefill.size() ? prefill[i] : Deployment::kNone,
                   i < decode.size() ? decode[i] : Deployment::kNone});
  return out;
}

}  // namespace kvsim
