// Calibrations in an experiment: /profile names files that `kvsim calibrate` wrote, one or a list,
// later ones over earlier. Their figures (sim/calibrate/lane_model.hpp) lie over models/ and over
// the defaults of components, and under what the experiment says itself; measured disks stand in
// for all local ones.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/lane_model.hpp"

namespace kvsim {

struct Calibrations {
  std::vector<std::string> files;
  std::vector<std::string> names;
  Figures figures = Figures::object();
};

// What /profile of `experiment`, read from `file`, names. ConfigError when it is no calibration.
[[nodiscard]] Calibrations load_calibrations(const Json& experiment, const std::string& file);

// The experiment with their figures, and a warning for each disk that was replaced.
[[nodiscard]] Json with_calibrations(Json experiment, const Calibrations& calibrations);

}  // namespace kvsim
