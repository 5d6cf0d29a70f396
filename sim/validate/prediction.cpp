#include "sim/validate/prediction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/check.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/csv_table.hpp"
#include "sim/validate/template.hpp"

namespace kvsim {

namespace {

const std::vector<Prediction>& standard_predictions() {
  static const std::vector<Prediction> all = [] {
    std::vector<Prediction> out;
    for (const char* metric : {"ttft", "itl", "e2e"})
      for (const char* stat : {"mean", "p90", "p99"})
        out.push_back({0, metric, stat, "s", {}, {}, ""});
    out.push_back({0, "output_throughput", "total", "tok/s", {}, {}, ""});
    return out;
  }();
  return all;
}

// The stage with the highest output throughput; the first of equal ones; none that made any.
std::optional<std::size_t> best_stage(const std::vector<StageOutcome>& stages,
                                      const CountingRules& rules) {
  std::optional<std::size_t> best;
  double most = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto rate = measure({&stages[i]}, rules, "output_throughput", "total", "tok/s");
    if (rate.value_or(0) <= most) continue;
    most = *rate;
    best = i;
  }
  return best;
}

std::optional<double> real(const Json& level) {
  const Json number = level.is_string() ? number_or_text(level.get<std::string>()) : level;
  if (!number.is_number()) return std::nullopt;
  return number.get<double>();
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::optional<double> optional_number(const Json& json, const char* key) {
  if (!json.contains(key) || !json.at(key).is_number()) return std::nullopt;
  return json.at(key).get<double>();
}

std::string field(const std::optional<double>& value) {
  return value ? fmt::format("{:.6g}", *value) : "";
}

}  // namespace

std::optional<double> Prediction::signed_percent() const {
  constexpr double kPercent = 100;
  if (!predicted || !actual || *actual == 0) return std::nullopt;
  return kPercent * (*predicted - *actual) / *actual;
}

std::vector<std::vector<Prediction>> wanted_predictions(
    const std::vector<ValidationCase>& cases, const std::vector<Measurement>& measurements) {
  std::map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < cases.size(); ++i) index[cases[i].id()] = i;
  std::vector<std::vector<Prediction>> out(cases.size());
  for (const Measurement& m : measurements) {
    const auto found = index.find(m.case_id);
    if (found == index.end()) continue;
    out[found->second].push_back(
        {found->second, m.metric, m.stat, m.unit, std::nullopt, m.value, m.flag});
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].empty()) out[i] = standard_predictions();
    for (Prediction& prediction : out[i]) prediction.of_case = i;
  }
  return out;
}

std::vector<Prediction> predict(const PlannedRun& run, const std::vector<StageOutcome>& stages,
                                const std::vector<std::vector<Prediction>>& wanted) {
  KV_CHECK(stages.size() == run.levels.size(), "{} stages of {}", stages.size(), run.name);
  std::vector<Prediction> out;
  for (const CaseCut& cut : run.cuts) {
    std::vector<const StageOutcome*> counted;
    if (cut.of == CaseCut::Of::kAll)
      for (const StageOutcome& stage : stages) counted.push_back(&stage);
    std::optional<std::size_t> stage = cut.stage;
    if (cut.of == CaseCut::Of::kBest) stage = best_stage(stages, run.counting);
    if (cut.of != CaseCut::Of::kAll && stage) counted.push_back(&stages[*stage]);
    for (Prediction prediction : wanted[cut.of_case]) {
      prediction.predicted =
          measure(counted, run.counting, prediction.metric, prediction.stat, prediction.unit);
      out.push_back(std::move(prediction));
    }
    if (cut.of == CaseCut::Of::kBest && stage)
      out.push_back(
          {cut.of_case, "peak_level", "-", "", real(run.levels[*stage]), real(cut.peak_level), ""});
  }
  return out;
}

void write_predictions(const std::string& file, const std::vector<ValidationCase>& cases,
                       std::vector<Prediction> predictions) {
  std::stable_sort(predictions.begin(), predictions.end(),
                   [](const Prediction& a, const Prediction& b) { return a.of_case < b.of_case; });
  OutputFile out(file);
  out.write(
      "case_id,study,split,metric,stat,unit,predicted,actual,ape_percent,signed_percent,flag\n");
  for (const Prediction& p : predictions) {
    const ValidationCase& of = cases[p.of_case];
    const auto error = p.signed_percent();
    const std::optional<double> size = error ? std::optional(std::abs(*error)) : std::nullopt;
    out.write(fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(of.id()),
                          csv_field(of.study()), csv_field(of.at("split")), csv_field(p.metric),
                          csv_field(p.stat), csv_field(p.unit), field(p.predicted), field(p.actual),
                          field(size), field(error), csv_field(p.flag)));
  }
  out.commit();
}

Json predictions_json(const std::vector<Prediction>& predictions,
                      const std::vector<ValidationCase>& cases) {
  Json out = Json::array();
  for (const Prediction& p : predictions)
    out.push_back({{"case_id", cases[p.of_case].id()},
                   {"metric", p.metric},
                   {"stat", p.stat},
                   {"unit", p.unit},
                   {"predicted", optional_json(p.predicted)},
                   {"actual", optional_json(p.actual)},
                   {"flag", p.flag}});
  return out;
}

std::vector<Prediction> read_predictions(const Json& json,
                                         const std::vector<ValidationCase>& cases) {
  std::map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < cases.size(); ++i) index[cases[i].id()] = i;
  std::vector<Prediction> out;
  for (const Json& p : json) {
    const auto found = index.find(p.at("case_id").get<std::string>());
    if (found == index.end()) continue;
    out.push_back({found->second, p.at("metric").get<std::string>(),
                   p.at("stat").get<std::string>(), p.at("unit").get<std::string>(),
                   optional_number(p, "predicted"), optional_number(p, "actual"),
                   p.at("flag").get<std::string>()});
  }
  return out;
}

}  // namespace kvsim
