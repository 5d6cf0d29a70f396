#include "sim/experiment/placement.hpp"

#include <map>
#include <string>

#include "sim/experiment/pool_assembly.hpp"

namespace kvsim {

Placement place_replicas(std::span<const PoolPlan> pools) {
  struct Filling {
    std::size_t machine = 0;
    std::int64_t used = 0;
  };
  Placement out;
  std::map<std::string, Filling> filling;  // by kind of machine
  for (const PoolPlan& pool : pools) {
    std::vector<Place>& places = out.replicas.emplace_back();
    const std::int64_t gpus = pool.gpus_per_replica();
    for (std::int64_t i = 0; i < pool.most_replicas(); ++i) {
      const auto [at, first] = filling.try_emplace(pool.node.name);
      Filling& machine = at->second;
      if (first || machine.used + gpus > pool.node.gpus) {
        machine = {out.machines.size(), 0};
        out.machines.push_back(pool.node);
      }
      places.push_back({machine.machine, machine.used});
      machine.used += gpus;
    }
  }
  return out;
}

}  // namespace kvsim
