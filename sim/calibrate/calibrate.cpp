#include "sim/calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/bench.hpp"

namespace kvsim {

namespace {

struct OpenLane {
  const CalibrationPlan::Lane& lane;
  std::unique_ptr<LaneModel> model;
  std::vector<BenchOperation> operations;
};

std::unique_ptr<LaneModel> make_model(const std::string& name) {
  const Json kind = name;
  return Registry<LaneModel>::instance().make(ConfigNode(kind, "calibrate"), {});
}

std::unique_ptr<Bench> make_bench(const Json& bench, Scratch& scratch) {
  return Registry<Bench>::instance().make(ConfigNode(bench, "calibrate"), {scratch});
}

// Shares the time of a lane among its measurements.
Patience patience_for(Seconds lane_time, std::size_t operations) {
  const Seconds each = lane_time / static_cast<double>(std::max<std::size_t>(1, operations));
  constexpr double kWarmUp = 0.15;
  constexpr double kLeast = 0.4;
  return {.warm_up = each * kWarmUp, .least = each * kLeast, .most = each, .operations = 5};
}

std::vector<OpenLane> open_lanes(const CalibrationPlan& plan) {
  std::vector<OpenLane> out;
  for (const CalibrationPlan::Lane& lane : plan.lanes) {
    std::unique_ptr<LaneModel> model = make_model(lane.name);
    std::vector<BenchOperation> operations = model->plan(plan.full);
    out.push_back({lane, std::move(model), std::move(operations)});
  }
  return out;
}

void check_space(const CalibrationPlan& plan, const OpenLane& open, const Bench& bench) {
  Bytes most{0};
  for (const BenchOperation& operation : open.operations)
    most = std::max(most, bench.needs(operation));
  const Scratch room(plan.folder, most);
}

// Only measuring: the fit comes when the bench and its servers are gone.
LaneResult measure_lane(const CalibrationPlan& plan, const OpenLane& open,
                        const std::function<void()>& progress) {
  LaneResult result;
  result.name = open.lane.name;
  Scratch scratch(plan.folder, Bytes(0));
  const std::unique_ptr<Bench> bench = make_bench(open.lane.bench, scratch);
  check_space(plan, open, *bench);
  result.identity = bench->identity();
  const Patience patience = patience_for(plan.lane_time, open.operations.size());
  for (const BenchOperation& operation : open.operations) {
    progress();
    result.samples.push_back(bench->measure(operation, patience));
  }
  return result;
}

}  // namespace

Calibration calibrate(const CalibrationPlan& plan, const CalibrationProgress& progress) {
  Calibration out;
  out.identity = machine_identity();
  const std::vector<OpenLane> lanes = open_lanes(plan);
  std::int64_t total = 0;
  for (const OpenLane& open : lanes) total += static_cast<std::int64_t>(open.operations.size());
  std::int64_t done = 0;
  World world;
  Tasks tasks(world);
  for (const OpenLane& open : lanes) {
    LaneResult result = measure_lane(plan, open, [&] { progress(done++, total); });
    result.figures = open.model->fit(result.samples, out.figures);
    for (const Sample& sample : result.samples)
      result.model.push_back(evaluate(*open.model, tasks, sample.operation, out.figures));
    out.lanes.push_back(std::move(result));
  }
  progress(done, total);
  return out;
}

}  // namespace kvsim
