// A GPU's fitted blocks from operator timings: what `kvsim fit` prints and writes.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/operator_table.hpp"
#include "sim/calibrate/step_fit.hpp"
#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

// Blocks that the timings could not give stay those of the base profile, and have no report.
struct GpuFit {
  GpuProfile profile;
  std::vector<FitReport> reports;
  std::vector<std::string> left;  // blocks without enough rows, with the reason
};

// Replaces the fitted blocks of `base`, whose datasheet blocks it keeps. A block needs at least
// two rows a coefficient. Provenance is left to the caller.
GpuFit fit_gpu(const OperatorTable& table, const GpuProfile& base, FitOptions options);

// The report of a block, if it was fitted.
const FitReport* report_of(const GpuFit& fit, const std::string& block);

}  // namespace kvsim
