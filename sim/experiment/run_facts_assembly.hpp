// What the parts of a run say of themselves once it is over, gathered for its summary.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/experiment/host_links.hpp"
#include "sim/experiment/machines.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/perf/price_book.hpp"
#include "sim/report/run_facts.hpp"

namespace kvsim {

struct FinishedRun {
  const ExperimentConfig& config;
  std::span<const PoolPlan> pools;
  const Placement& placement;
  const PriceBook& prices;
  const std::vector<std::string>& tiers;  // HBM first
  const Frontend& frontend;
  const HostLinks* links;          // null without lower tiers
  const Machines* machines;        // likewise
  const KvTransferHub* transfers;  // null unless prefill and decode are apart
  Seconds ended;
};

// All but the provenance and whether the run was cut off.
[[nodiscard]] RunFacts gather_facts(const FinishedRun& run);

}  // namespace kvsim
