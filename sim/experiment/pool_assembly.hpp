// Builds the replicas of a pool: engines with their HBM, host links, copy engines and connectors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/experiment/config.hpp"
#include "sim/experiment/machines.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/perf/memory_budget.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {

// A pool's configuration with every default of version, GPU and LLM filled in, and what follows.
struct PoolPlan {
  PoolConfig config;
  NodeConfig node;
  StepTime::Context context;
  MemoryBudget budget;
  Engine::Options engine;
  ApiServerCosts api;
  EngineDefaults defaults;
  std::vector<std::string> assumed;  // profiles that hold an assumed row
};

// Throws ConfigError for everything that does not fit together. `node` paths complaints.
PoolPlan plan_pool(const ConfigNode& node, const PoolConfig& config,
                   const std::vector<NodeConfig>& nodes);

// The PCIe tree of the pool's nodes; lanes stay where they are made.
class HostLinks {
 public:
  // `free`: copies cost no time (what-if).
  HostLinks(World& world, const PoolPlan& plan, bool free);
  [[nodiscard]] Lane& to_host(std::size_t replica) { return *lanes_.at(2 * replica); }
  [[nodiscard]] Lane& to_device(std::size_t replica) { return *lanes_.at(2 * replica + 1); }
  [[nodiscard]] std::vector<ResourceUse> resources() const;
  // Copies are live operations.
  void set_live(LiveLanes& lanes);

 private:
  std::int64_t ranks_;
  std::vector<std::unique_ptr<DuplexLink>> links_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// Replicas that fit on a node, >= 1.
std::int64_t replicas_per_node(const PoolPlan& plan);

// `links` and `machines` may be null when the pool has no connector.
std::unique_ptr<Engine> make_engine(World& world, const ConfigNode& node, const PoolPlan& plan,
                                    std::size_t replica, HostLinks* links, Machines* machines,
                                    EngineListener& listener);

}  // namespace kvsim
