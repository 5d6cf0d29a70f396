// Builds the replicas of a pool: engines with their HBM and connectors.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/experiment/config.hpp"
#include "sim/experiment/machines.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/kv/conn_kv_transfer.hpp"
#include "sim/perf/memory_budget.hpp"
#include "sim/perf/step_context.hpp"
#include "sim/perf/step_time_pipeline.hpp"

namespace kvsim {

// A pool's configuration with every default of version, GPU and LLM filled in, and what follows.
struct PoolPlan {
  PoolConfig config;
  std::string file;  // where it was read, for complaints
  std::string path;
  NodeConfig node;
  StepTime::Context context;
  MemoryBudget budget;
  Engine::Options engine;
  ApiServerCosts api;
  EngineDefaults defaults;
  std::vector<std::string> assumed;  // profiles that hold an assumed row
  double gpu_usd_per_hour = 0;

  [[nodiscard]] std::int64_t gpus_per_replica() const {
    return config.tensor_parallel * config.pipeline_parallel;
  }
  // What one rank holds: all layers, or those of a pipeline's stage.
  [[nodiscard]] LlmProfile rank_llm() const {
    return pipeline_stage(context.llm, config.pipeline_parallel);
  }
  [[nodiscard]] Role role() const {
    if (config.role == "prefill") return Role::kPrefill;
    return config.role == "decode" ? Role::kDecode : Role::kAggregated;
  }
  [[nodiscard]] bool needs_machines() const {
    return config.connector.has_value() || role() != Role::kAggregated;
  }
  [[nodiscard]] std::int64_t most_replicas() const {
    return std::max(config.replicas, config.max_replicas.value_or(config.replicas));
  }
};

// Throws ConfigError for everything that does not fit together. `node` paths complaints.
PoolPlan plan_pool(const ConfigNode& node, const PoolConfig& config,
                   const std::vector<NodeConfig>& nodes);

class HostLinks;

// A replica among all of the run.
struct ReplicaPlace {
  std::size_t replica = 0;  // number through all pools
  std::size_t in_pool = 0;
  std::size_t machine = 0;
};

// Step times of its replicas, for engines and for who predicts them.
std::unique_ptr<StepTime> pool_step_time(const PoolPlan& plan);

// What an operator states of a replica.
ReplicaFacts replica_facts(const PoolPlan& plan, const ReplicaPlace& place, const Engine& engine);

// What replicas are made on. All null when no pool has lower tiers or splits prefill and decode.
struct PoolSurroundings {
  HostLinks* links = nullptr;
  Machines* machines = nullptr;
  KvTransferHub* transfers = nullptr;
};

std::unique_ptr<Engine> make_engine(World& world, const ConfigNode& node, const PoolPlan& plan,
                                    const ReplicaPlace& place, const PoolSurroundings& around,
                                    EngineListener& listener);

}  // namespace kvsim
