// The PCIe trees of the machines that carry replicas, and the copy engines on them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/experiment/placement.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/store/live_lanes.hpp"

namespace kvsim {

class HostLinks {
 public:
  // Replicas are numbered through all pools. `free`: copies cost no time (what-if).
  HostLinks(World& world, std::span<const PoolPlan> pools, const Placement& placement, bool free);
  [[nodiscard]] Lane& to_host(std::size_t replica) { return *lanes_.at(2 * replica); }
  [[nodiscard]] Lane& to_device(std::size_t replica) { return *lanes_.at(2 * replica + 1); }
  [[nodiscard]] std::vector<ResourceUse> resources() const;
  // Copies are live operations.
  void set_live(LiveLanes& lanes);

 private:
  struct Switch;
  void add(World& world, const PoolPlan& pool, const std::string& name, Switch* below);

  std::vector<std::int64_t> ranks_;  // by lane: one stands for so many
  std::vector<std::unique_ptr<DuplexLink>> links_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace kvsim
