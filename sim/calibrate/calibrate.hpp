// Measures lanes one after another and fits their models: what `kvsim calibrate` does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/calibrate/calibration.hpp"

namespace kvsim {

struct CalibrationPlan {
  struct Lane {
    std::string name;
    Json bench;  // the bench plug-in with its options
  };
  std::vector<Lane> lanes;  // in the order of dependency: see lane_model.hpp
  bool full = false;
  std::string folder;     // where files are written, in a new folder of its own
  Seconds lane_time{15};  // to spend on measuring one lane, about
};

// How far it is: measurements done and in all.
using CalibrationProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// EnvironmentError in one line when something cannot be measured.
[[nodiscard]] Calibration calibrate(const CalibrationPlan& plan,
                                    const CalibrationProgress& progress);

}  // namespace kvsim
