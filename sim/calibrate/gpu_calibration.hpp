// Measures the GPU of this machine by the probe of kernels/ and fits its profile.
#pragma once

#include <functional>
#include <string>

#include "sim/calibrate/gpu_fit.hpp"

namespace kvsim {

struct GpuCalibration {
  Json identity;  // device, driver, clocks
  GpuFit fit;
  Json profile;  // of schema kvsim.gpu/1
};

struct GpuCalibrationPlan {
  std::string folder;  // for files, in a new folder of its own
  std::string gpu;  // profile whose datasheet blocks hold; "" = the one that the device's name is
                    // an alias of
  std::string source;  // for the provenance
  bool full = false;
};

// EnvironmentError in one line without a GPU or its probe; ConfigError when no profile is known for
// the device. `said`: lines of progress, "progress 3/120 gemm".
[[nodiscard]] GpuCalibration calibrate_gpu(const GpuCalibrationPlan& plan,
                                           const std::function<void(const std::string&)>& said);

}  // namespace kvsim
