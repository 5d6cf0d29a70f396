// A disk under the load of fio: so many jobs, each with one request in flight (libaio, O_DIRECT,
// iodepth 1), for a while. For comparisons of the disk models with published runs.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/base/units.hpp"

namespace kvsim {

struct StorageLoad {
  Json disk;  // as in an experiment: {"kind": "nvme", "profile": ...}
  Bytes request{0};
  std::int64_t jobs = 1;
  double reads = 1;  // share of the requests, 0..1
  Seconds duration{0};
};

// Reads or writes of a load.
struct StorageSide {
  double requests_per_s = 0;
  double bytes_per_s = 0;
  std::vector<double> latencies_s;  // ascending; of requests that ended in the load's time
};

struct StorageOutcome {
  StorageSide read;
  StorageSide write;
};

// Runs every load on a disk of its own. Makes the process's one World: at most one call a process.
// Throws ConfigError for a disk that cannot be made.
[[nodiscard]] std::vector<StorageOutcome> run_storage(const std::vector<StorageLoad>& loads,
                                                      std::uint64_t seed);

}  // namespace kvsim
