// The map of the KV cache over a run: whoever holds KV tells a recorder, which is sampled.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/experiment/machines.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/frontend/kv_map_recorder.hpp"

namespace kvsim {

class KvMap {
 public:
  struct Plan {
    World& world;
    const MeasureConfig& measure;
    std::span<const PoolPlan> pools;
    const std::vector<std::string>& tiers;  // of the run, HBM first
    Frontend& frontend;
    Machines* machines;  // null without lower tiers
  };
  // Before the run. Writes into `folder` (report/kv_map.hpp).
  KvMap(const Plan& plan, const std::string& folder);
  // The run is over: the last sample; the files are complete.
  void finish(Seconds ended);
  // After that: `kv_map` of the summary.
  [[nodiscard]] Json json() const { return kv_map_json(facts_); }

 private:
  void listen_to_engines(const Plan& plan);
  void listen_to_connector(const Replica& replica, const KvMapRecorder::Shape& block,
                           std::vector<const void*>& known);
  void listen_to_stores(const Plan& plan);
  void look(Seconds now);
  void forget_lost();

  Frontend& frontend_;
  std::size_t top_;
  KvMapFacts facts_;
  KvMapRecorder recorder_;
  KvMapFiles files_;
  std::vector<BlockListener*> hbm_;  // by replica
  std::vector<bool> told_;           // by tier: a connector tells of it
};

}  // namespace kvsim
