#include "sim/calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/machine.hpp"

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

// Everything is measured so often, all lanes in turn: what others on the machine take away for a
// minute or two is gone in another pass, and the quickest counts.
constexpr int kPasses = 2;

// Shares the time of a lane among its measurements.
Patience patience_for(Seconds lane_time, std::size_t operations) {
  const Seconds each =
      lane_time / static_cast<double>(kPasses * std::max<std::size_t>(1, operations));
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

// Only measuring: fits come when benches and their servers are gone.
void measure_lane(const CalibrationPlan& plan, const OpenLane& open, LaneResult& result,
                  const std::function<void()>& progress) {
  Scratch scratch(plan.folder, Bytes(0));
  const std::unique_ptr<Bench> bench = make_bench(open.lane.bench, scratch);
  check_space(plan, open, *bench);
  result.identity = bench->identity();
  const Patience patience = patience_for(plan.lane_time, open.operations.size());
  for (std::size_t i = 0; i < open.operations.size(); ++i) {
    progress();
    Sample sample = bench->measure(open.operations[i], patience);
    if (result.samples.size() <= i) {
      result.samples.push_back(std::move(sample));
    } else if (sample.typical() < result.samples[i].typical()) {
      result.samples[i] = std::move(sample);
    }
  }
}

}  // namespace

Calibration calibrate(const CalibrationPlan& plan, const CalibrationProgress& progress) {
  Calibration out;
  out.identity = machine_identity();
  out.figures["cpu"]["cores"] = usable_cores();  // known without measuring
  const std::vector<OpenLane> lanes = open_lanes(plan);
  std::int64_t total = 0;
  for (const OpenLane& open : lanes) {
    total += kPasses * static_cast<std::int64_t>(open.operations.size());
    out.lanes.emplace_back().name = open.lane.name;
  }
  std::int64_t done = 0;
  for (int pass = 0; pass < kPasses; ++pass)
    for (std::size_t i = 0; i < lanes.size(); ++i)
      measure_lane(plan, lanes[i], out.lanes[i], [&] { progress(done++, total); });
  World world;
  Tasks tasks(world);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    LaneResult& result = out.lanes[i];
    result.figures = lanes[i].model->fit(result.samples, out.figures);
    for (const Sample& sample : result.samples)
      result.model.push_back(evaluate(*lanes[i].model, tasks, sample.operation, out.figures));
  }
  progress(done, total);
  return out;
}

}  // namespace kvsim
