// What an autoscaler is told of the pools beforehand, and what bringing up their replicas takes.
#pragma once

#include <span>
#include <vector>

#include "sim/experiment/pool_assembly.hpp"
#include "sim/frontend/scaling.hpp"

namespace kvsim {

struct ScalingPlan {
  std::vector<Scaling::Pool> pools;
  Autoscaler::Context context;
};

ScalingPlan plan_scaling(std::span<const PoolPlan> pools, const Frontend& frontend);

}  // namespace kvsim
