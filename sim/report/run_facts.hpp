// What whoever assembled and ran an experiment knows about it, and the recorder does not.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/report/cost.hpp"

namespace kvsim {

struct RunProvenance {
  std::string version;
  std::string config_sha256;  // of the resolved experiment
  std::string trace_sha256;   // of the decoded requests; known at the end
  std::uint64_t seed = 0;
  std::vector<std::string> profiles;
  std::vector<std::string> assumed_profiles;  // those with a row that nobody measured
};

// A level of the KV cache; its index is RequestRecord::hit_tokens's.
struct TierFacts {
  std::string name;
  Tokens evicted{0};
  Bytes stored{0};                // written into it during the run
  Tokens dropped{0};              // not stored for lack of room
  std::int64_t failed_loads = 0;  // turned into a miss and computed
  std::int64_t bypassed = 0;      // not asked, because it had failed before
};

// A store's process over the whole run.
struct StoreFacts {
  std::string name;
  Bytes live{0};
  Bytes stored{0};
  Bytes evicted{0};
  Bytes refused{0};
  std::int64_t gets = 0;
  std::int64_t hits = 0;
  std::int64_t puts = 0;
  double write_amplification = 0;  // 0 = no disk
};

// A disk, or a set of them, over the whole run.
struct DiskFacts {
  std::string name;
  Bytes read{0};
  Bytes written{0};
  Bytes written_flash{0};  // with the device's own write amplification
  Bytes capacity{0};
  Bytes used{0};
  // By callers, at this run's rate: what makers rate.
  double drive_writes_per_day = 0;
  double rated_drive_writes_per_day = 0;  // 0 = not stated
  double years_of_life = 0;               // until those are spent; 0 = not rated, or no writes
};

// A shared resource over the whole run.
struct ResourceFacts {
  std::string name;
  std::string kind;        // "gpu", "pcie", "link", "cpu", "disk", ...
  double utilisation = 0;  // in [0, 1]
  Bytes bytes{0};
  Seconds busy{0};
};

// Time that engines had a step to do and could not, over the whole run, summed over engines.
struct StepWaitFacts {
  Seconds loads{0};                      // KV that is part of the step
  std::array<Seconds, 6> load_stages{};  // the same by stage: index into RunFacts::fetch_stages
  Seconds stores{0};
  Seconds lookups{0};
};

struct RunFacts {
  std::string name;  // of the experiment
  RunProvenance provenance;
  std::vector<TierFacts> tiers;
  std::vector<std::string> fetch_stages;  // names for RequestRecord::fetch_stages
  StepWaitFacts waits;
  std::vector<StoreFacts> stores;
  std::vector<DiskFacts> disks;
  std::vector<ResourceFacts> resources;
  double gpus = 1;  // on the average over the run
  // Tokens whose KV was computed a second time for the same request, after a preemption.
  Tokens recomputed{0};
  // Bytes that reached the device per byte that the cache wrote; none without such a device.
  std::optional<double> write_amplification;
  std::optional<CostInputs> cost;
  Seconds simulated{0};               // length of the whole run
  bool incomplete = false;            // cut off by the user
  std::vector<std::string> warnings;  // that a reader of the numbers must know
};

}  // namespace kvsim
