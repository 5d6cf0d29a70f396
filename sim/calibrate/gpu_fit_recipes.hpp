// Which fitted block of which file of models/gpu comes from where: from operator tables of the GPU
// itself, from a relative's block (as it is, or with its compute share scaled), or by the recipe
// for a GPU without tables. rebuild_gpu_profiles() is the one command behind the fitted numbers
// that ship; what a GPU without tables must expect is in leave_one_out().
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/gpu_fit.hpp"
#include "sim/calibrate/gpu_fit_file.hpp"
#include "sim/calibrate/gpu_fit_steps.hpp"

namespace kvsim {

struct RebuiltGpu {
  std::string name;
  std::string path;
  Json file;                       // as it should be
  std::vector<Drift> drifts;       // against what it is
  std::vector<FitReport> reports;  // of its own tables; empty when all is inherited
};

// `folder` is a calibration folder: ops/<gpu>/*.csv. Reads and fits everything: a few seconds.
// Throws ConfigError when a table is missing.
std::vector<RebuiltGpu> rebuild_gpu_profiles(const std::string& folder, const FitOptions& options,
                                             double drift_share);

// Step errors against composed_steps.csv of the folder, by where the coefficients come from.
struct TransferErrors {
  std::string name;
  StepErrors own;        // the GPU's own tables
  StepErrors others;     // mean of all other GPUs' coefficients and its own datasheet
  StepErrors relatives;  // mean of those with the same kind of GPU link: models/gpu/a10.json
  StepErrors measured;   // these, compute shares as measured by a matrix product on the part: the
                         // recipe of models/gpu/l4.json
};
std::vector<TransferErrors> leave_one_out(const std::string& folder, const FitOptions& options);

}  // namespace kvsim
