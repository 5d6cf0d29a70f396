// The GPUs that a calibration folder has operator tables of, and the sources to name for them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/calibrate/gpu_fit.hpp"

namespace kvsim {

struct TabledGpu {
  std::string profile;  // file of models/gpu
  std::string folder;   // of ops/
  std::string title;
  std::string matmul;   // its row in matmul_peak_bf16.csv
  bool layers = false;  // a profile of one model's layers, not operator tables
};

const std::vector<TabledGpu>& tabled_gpus();
const TabledGpu& tabled_gpu(const std::string& profile);

// The shipped profile with the blocks that the tables give.
GpuFit fit_tabled(const std::string& folder, const TabledGpu& gpu, const FitOptions& options);

// Source and error of a block, if the tables gave it.
std::optional<Provenance> tabled_provenance(const TabledGpu& gpu, const GpuFit& fit,
                                            const std::string& block);

}  // namespace kvsim
