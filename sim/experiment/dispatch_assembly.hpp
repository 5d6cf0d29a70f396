// Builds who routes among the replicas: for each LLM a dispatcher with its routers, admission,
// decider and index of KV events.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/experiment/config.hpp"
#include "sim/experiment/machines.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/experiment/store_events.hpp"
#include "sim/frontend/frontend.hpp"

namespace kvsim {

// The "router" section: our own keys, and the plug-in's.
struct RouterPlan {
  RouterConfig config;
  Json plugin;
  [[nodiscard]] Json prefill() const { return config.prefill.value_or(plugin); }
};

RouterPlan read_router(const ConfigNode& node, const Json& router);
// Says what depends on the router.
void fill_disaggregation(DisaggregationConfig& disaggregation, const RouterPlan& plan);
// With every default.
Json resolve_router(const ConfigNode& node, const RouterPlan& plan);

struct DispatchPlan {
  const ConfigNode& node;  // the experiment
  const RouterPlan& router;
  const ExperimentConfig& config;
  std::span<const PoolPlan> pools;
  std::vector<std::string> tiers;  // HBM first
  Machines* machines = nullptr;    // null without lower tiers
  std::uint64_t seed = 1;
};

// Adds a dispatcher for each LLM (Request::llm) to the frontend, whose replicas are all there.
// Where a router needs KV events, replicas begin to tell them. ConfigError for pools that do not
// fit together.
// What is returned tells of stores: it must live as long as the run.
[[nodiscard]] std::vector<std::unique_ptr<StoreEvents>> add_dispatchers(World& world,
                                                                        const DispatchPlan& plan,
                                                                        Frontend& frontend);

}  // namespace kvsim
