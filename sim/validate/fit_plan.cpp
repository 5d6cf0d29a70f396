#include "sim/validate/fit_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "sim/validate/csv_table.hpp"
#include "sim/validate/error_table.hpp"

namespace kvsim {

namespace {

bool among(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// What makes runs of a study differ in kind: taken in turn, so that few cases show all of them.
std::string stratum_of(const ValidationCase& of) {
  return fmt::format("{}/{}/{}/{}", of.at("gpu"), of.at("model"), of.at("tp"),
                     of.at("tier_config"));
}

// Runs of each stratum in their order, one stratum after the other, then again.
std::vector<const PlannedRun*> in_turn(const std::vector<const PlannedRun*>& runs,
                                       const std::vector<ValidationCase>& cases) {
  std::map<std::string, std::vector<const PlannedRun*>> strata;
  for (const PlannedRun* run : runs)
    strata[stratum_of(cases[run->cuts.front().of_case])].push_back(run);
  std::vector<const PlannedRun*> out;
  for (std::size_t turn = 0; out.size() < runs.size(); ++turn)
    for (const auto& [name, list] : strata)
      if (turn < list.size()) out.push_back(list[turn]);
  return out;
}

double number(const std::string& text) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  return text.empty() ? kNone : std::strtod(text.c_str(), nullptr);
}

}  // namespace

std::string short_name(const FittedConstant& constant) {
  return constant.path.substr(constant.path.rfind('/') + 1);
}

void FitPlan::check(const ConfigNode& node) const {
  if (constants.empty()) node.at("constants").fail("none", "one or more");
  for (std::size_t j = 0; j < constants.size(); ++j) {
    const FittedConstant& one = constants[j];
    if (one.low >= one.high || one.prior < one.low || one.prior > one.high)
      node.at("constants")
          .at(j)
          .fail(fmt::format("{:g} between {:g} and {:g}", one.prior, one.low, one.high),
                "low <= prior <= high and low < high");
  }
}

std::vector<FitParameter> FitPlan::parameters() const {
  std::vector<FitParameter> out;
  for (const FittedConstant& one : constants)
    out.push_back({short_name(one), one.prior, one.spread, one.low, one.high});
  return out;
}

RobustOptions FitPlan::options() const {
  return {.noise = noise,
          .knee = knee,
          .step_share = step_share,
          .iterations = static_cast<int>(iterations)};
}

Json FitPlan::overrides(const Eigen::VectorXd& values) const {
  Json out = Json::array();
  for (std::size_t j = 0; j < constants.size(); ++j)
    out.push_back({{"model", constants[j].model},
                   {"path", constants[j].path},
                   {"value", values[static_cast<Eigen::Index>(j)]}});
  return out;
}

std::vector<std::size_t> thin_cases(const FitPlan& plan, const std::vector<PlannedRun>& runs,
                                    const std::vector<ValidationCase>& cases) {
  std::vector<std::size_t> out;
  for (const std::string& study : plan.studies) {
    std::vector<const PlannedRun*> of_study;
    for (const PlannedRun& run : runs)
      if (run.study == study && !run.cuts.empty()) of_study.push_back(&run);
    std::int64_t taken = 0;
    for (const PlannedRun* run : in_turn(of_study, cases)) {
      if (taken >= plan.max_cases_per_study) break;
      taken += static_cast<std::int64_t>(run->cuts.size());
      for (const CaseCut& cut : run->cuts) out.push_back(cut.of_case);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<MeasuredRow> read_measured_rows(const std::string& predictions, const FitPlan& plan,
                                            const std::vector<ValidationCase>& cases) {
  std::map<std::string, const ValidationCase*, std::less<>> by_id;
  for (const ValidationCase& of : cases) by_id.emplace(of.id(), &of);
  const CsvTable table = read_csv(predictions);
  const std::size_t id = table.column("case_id"), metric = table.column("metric");
  const std::size_t stat = table.column("stat"), flag = table.column("flag");
  const std::size_t predicted = table.column("predicted"), actual = table.column("actual");
  std::vector<MeasuredRow> out;
  for (const auto& row : table.rows) {
    const auto of = by_id.find(row[id]);
    const double measured = number(row[actual]);
    if (of == by_id.end() || !(measured > 0) || !row[flag].empty()) continue;
    std::string word = row[stat].substr(0, row[stat].find('('));
    while (word.ends_with(' ')) word.pop_back();
    const std::string kind = metric_class(row[metric], row[stat]);
    if (!among(plan.stats, word) || !among(plan.metrics, kind)) continue;
    const auto same = [&](const LeftOut& out) {
      return out.study == of->second->study() && out.metric == kind;
    };
    if (std::any_of(plan.left_out.begin(), plan.left_out.end(), same)) continue;
    const double ratio = number(row[predicted]) / measured;
    out.push_back({row[id], std::string(of->second->study()), std::string(of->second->at("gpu")),
                   std::string(of->second->at("model")), row[metric] + " " + row[stat], kind,
                   ratio > 0 ? std::log(ratio) : std::numeric_limits<double>::quiet_NaN()});
  }
  return out;
}

}  // namespace kvsim
