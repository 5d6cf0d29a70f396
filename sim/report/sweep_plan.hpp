// A sweep: one experiment, many sets of overrides. Pure: what to run and how to tabulate it; who
// runs the points is `kvsim sweep`.
//
//   {"schema": "kvsim.sweep/1", "experiment": "base.json",
//    "grid": {"/load/rate_per_s": [1, 2, 4], "/pools/0/replicas": [1, 2]},
//    "points": [{"/seed": 7}]}
//
// The points are the product of the grid's lists, the first key changing slowest, followed by
// `points` as they stand. "experiment" is relative to the sweep's file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/base/json.hpp"

namespace kvsim {

struct SweepPoint {
  std::size_t index = 0;
  Json overrides;                          // object: JSON pointer into the experiment -> value
  [[nodiscard]] std::string name() const;  // "point-0007"
};

struct SweepPlan {
  std::string experiment;             // file
  std::vector<std::string> pointers;  // every overridden one, in order of first use
  std::vector<SweepPoint> points;
};

// Throws ConfigError. At most a million points.
[[nodiscard]] SweepPlan read_sweep(const ConfigNode& sweep);

// Every count-th point from the index-th on, so that shards take about equally long.
struct Shard {
  std::size_t index = 0;  // from 0
  std::size_t count = 1;
  [[nodiscard]] bool has(const SweepPoint& point) const { return point.index % count == index; }
};

// `flag` is "I/N" (I from 1), or "N" to take the index from the environment, or empty: all points,
// unless a Slurm job array tells (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT). A Kubernetes Indexed
// Job tells its index only (JOB_COMPLETION_INDEX) and needs "N". `variable` looks a name up in the
// environment, null when it is not set. Throws ConfigError.
[[nodiscard]] Shard read_shard(const std::string& flag,
                               const std::function<const char*(const char*)>& variable);

struct SweepResult {
  const SweepPoint* point;
  Json summary;
};

// Tidy CSV, one row per result: point, its overrides, then every number of its summary by path.
// What one point has and another lacks is empty there.
[[nodiscard]] std::string sweep_csv(const SweepPlan& plan, const std::vector<SweepResult>& results);

}  // namespace kvsim
