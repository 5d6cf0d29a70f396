// Lanes for tests: benches in a scratch folder, and samples that a twin made up.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench.hpp"

namespace kvsim {

inline std::unique_ptr<LaneModel> lane_model(const std::string& name) {
  const Json config = name;
  return Registry<LaneModel>::instance().make(ConfigNode(config, "test"), {});
}

inline std::unique_ptr<Bench> lane_bench(const Json& config, Scratch& scratch) {
  return Registry<Bench>::instance().make(ConfigNode(config, "test"), {scratch});
}

inline Seconds twin_time(const LaneModel& model, const BenchOperation& operation,
                         const Figures& figures) {
  World world;
  Tasks tasks(world);
  return evaluate(model, tasks, operation, figures);
}

// What the twin says of all that the lane plans.
inline std::vector<Sample> twin_samples(const LaneModel& model, const Figures& figures, bool full) {
  std::vector<Sample> out;
  for (const BenchOperation& operation : model.plan(full)) {
    Sample sample;
    sample.operation = operation;
    sample.mean = sample.p50 = twin_time(model, operation, figures);
    out.push_back(sample);
  }
  return out;
}

inline double figure(const Figures& figures, const std::string& path) {
  return figures.at(Json::json_pointer(path)).get<double>();
}

// Enough to see that it works.
inline Patience in_a_hurry() {
  return {.warm_up = Seconds(0), .least = Seconds(0), .most = Seconds(0.05), .operations = 2};
}

// What the bench throws, as text.
template <class Action>
std::string environment_error_of(const Action& action) {
  try {
    action();
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return "";
}

}  // namespace kvsim
