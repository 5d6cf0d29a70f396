// One measured point: an operation of one size with so many callers at once, and how long it took.
// The same shape in a calibration's file and in what the GPU probe writes (kernels/README.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/base/quantile.hpp"
#include "sim/base/units.hpp"

namespace kvsim {

// What is done: `name` is one of a bench's operations.
struct BenchOperation {
  std::string name;
  Bytes bytes{0};            // payload of one
  std::int64_t at_once = 1;  // callers, each of which does one after another
};

struct Sample {
  BenchOperation operation;
  std::int64_t count = 0;  // operations measured
  Seconds mean{0};
  Seconds p10{0};
  Seconds p50{0};
  Seconds p90{0};
  Seconds p99{0};
  Seconds shortest{0};
  double noise = 0;    // half of the mean's 95 % interval, relative
  bool noisy = false;  // it did not become stable in the time it had

  // What the mean of a model is compared with: the median of one caller, which single outliers do
  // not move; of several the mean, as operations that fit into a time slice of the system see
  // nothing of the others, and the rest wait for them.
  [[nodiscard]] Seconds typical() const { return operation.at_once == 1 ? p50 : mean; }
  // What else was seen, by name with its unit: "client_cpu_s", "ratio". Mostly none.
  std::vector<std::pair<std::string, double>> extra;
  [[nodiscard]] std::optional<double> seen(const std::string& name) const;
};

// Quantiles, mean and noise of what was measured. times is not empty; noise from `batches` means of
// consecutive times.
Sample summarise(const BenchOperation& operation, const std::vector<double>& times);

// {"operation": ..., "bytes": ..., "at_once": ..., "count": ..., "mean_s": ..., ...}
Json to_json(const Sample& sample);
Sample sample_from_json(const Json& json);

}  // namespace kvsim
