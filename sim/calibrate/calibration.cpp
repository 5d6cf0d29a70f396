#include "sim/calibrate/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/fields.hpp"

namespace kvsim {

namespace {

constexpr const char* kSchema = "kvsim.calibration/1";

Json to_json(const LaneResult& lane) {
  const ModelError error = model_error(lane);
  Json figures = Json::array();
  for (const FittedFigure& figure : lane.figures)
    figures.push_back({{"figure", figure.path},
                       {"value", figure.value},
                       {"low", figure.low},
                       {"high", figure.high}});
  Json samples = Json::array();
  for (std::size_t i = 0; i < lane.samples.size(); ++i) {
    Json sample = to_json(lane.samples[i]);
    const double measured = lane.samples[i].typical().count();
    sample["model_s"] = lane.model[i].count();
    sample["residual"] = lane.model[i].count() / measured - 1;
    samples.push_back(std::move(sample));
  }
  return {{"lane", lane.name},
          {"identity", lane.identity},
          {"figures", figures},
          {"error",
           {{"median", error.median},
            {"p90", error.p90},
            {"bias", error.bias},
            {"samples", error.count}}},
          {"samples", samples}};
}

// As much of the file as an experiment needs.
struct CalibrationFile {
  std::string schema;
  std::string name;
  Json identity;
  Json figures;
  Json lanes;
  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {kSchema}, "What this file is.");
    f.required("name", name, "For summaries.");
    f.required("identity", identity, "The machine.");
    f.required("figures", figures, "Options of components, by section.");
    f.optional("lanes", lanes, "Samples, constants with their intervals, residuals.");
  }
};

}  // namespace

ModelError model_error(std::vector<double> signed_errors) {
  ModelError out;
  out.count = static_cast<std::int64_t>(signed_errors.size());
  if (signed_errors.empty()) return out;
  for (double& error : signed_errors) {
    out.bias += error / static_cast<double>(out.count);
    error = std::abs(error);
  }
  std::sort(signed_errors.begin(), signed_errors.end());
  out.median = quantile(signed_errors, 0.5);
  out.p90 = quantile(signed_errors, 0.9);
  return out;
}

ModelError model_error(const LaneResult& lane) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < lane.samples.size(); ++i)
    errors.push_back(lane.model[i] / lane.samples[i].typical() - 1);
  return model_error(std::move(errors));
}

Json to_json(const Calibration& calibration) {
  Json lanes = Json::array();
  for (const LaneResult& lane : calibration.lanes) lanes.push_back(to_json(lane));
  return {{"schema", kSchema},
          {"name", calibration.name},
          {"identity", calibration.identity},
          {"figures", calibration.figures},
          {"lanes", lanes}};
}

CalibrationFigures load_calibration(const std::string& file) {
  const Json json = load_json(file);
  const ConfigNode node(json, file);
  node.expect_object();
  if (!node.has("schema")) node.fail("no \"schema\"", fmt::format("\"schema\": \"{}\"", kSchema));
  const auto read = read_config<CalibrationFile>(node);
  node.at("figures").expect_object();
  return {read.name, read.figures};
}

}  // namespace kvsim
