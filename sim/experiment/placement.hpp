// Which GPUs of which machine a replica has.
#pragma once

#include <span>
#include <vector>

#include "sim/experiment/config.hpp"

namespace kvsim {

struct PoolPlan;

struct Place {
  std::size_t machine = 0;     // index into Placement::machines
  std::int64_t first_gpu = 0;  // of the replica's, on that machine
};

struct Placement {
  std::vector<NodeConfig> machines;          // that carry replicas
  std::vector<std::vector<Place>> replicas;  // by pool
  [[nodiscard]] const Place& of(std::size_t pool, std::size_t replica) const {
    return replicas[pool][replica];
  }
};

// Pools fill machines of their kind one after the other, each where the one before stopped. A
// replica has its GPUs on one machine.
Placement place_replicas(std::span<const PoolPlan> pools);

}  // namespace kvsim
