// What `kvsim calibrate` found out about a machine, and its file: "schema": "kvsim.calibration/1".
//
// An experiment names such files under /profile; sim/experiment/calibrated.hpp lays their figures
// under what it says itself.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/lane_model.hpp"

namespace kvsim {

// One lane: what was measured, which constants follow, and how far the model is off with them.
struct LaneResult {
  std::string name;
  Json identity;  // of what was measured
  std::vector<FittedFigure> figures;
  std::vector<Sample> samples;
  std::vector<Seconds> model;  // for each sample
};

// How far a model is from measurements, in shares of what was measured.
struct ModelError {
  double median = 0;  // of the absolute error
  double p90 = 0;
  double bias = 0;  // mean of the signed one: above 0, the model is too slow
  std::int64_t count = 0;
};
// Against what is typical of the samples.
[[nodiscard]] ModelError model_error(const LaneResult& lane);
[[nodiscard]] ModelError model_error(std::vector<double> signed_errors);

struct Calibration {
  std::string name;
  Json identity;  // of the machine
  Figures figures = Figures::object();
  std::vector<LaneResult> lanes;
};

[[nodiscard]] Json to_json(const Calibration& calibration);

// The figures of a calibration's file and who it is. ConfigError when it is none.
struct CalibrationFigures {
  std::string name;
  Figures figures;
};
[[nodiscard]] CalibrationFigures load_calibration(const std::string& file);

// This machine: processor, memory, kernel, system.
[[nodiscard]] Json machine_identity();

}  // namespace kvsim
