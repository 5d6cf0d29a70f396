#include "sim/validate/fit_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "sim/validate/csv_table.hpp"

namespace kvsim {

namespace {

using Eigen::Index;
using Eigen::VectorXd;

double percent(double residual) { return 100 * (std::exp(residual) - 1); }

// Four digits: more than any interval is worth.
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

double kept_within(double value, const FittedConstant& constant) {
  return std::clamp(rounded(value), constant.low, constant.high);
}

std::string one_line(const Json& json) {
  if (!json.is_object()) return json.dump();
  std::string out;
  for (const auto& item : json.items())
    out += fmt::format("{}\"{}\": {}", out.empty() ? "" : ", ", item.key(), one_line(item.value()));
  return "{" + out + "}";
}

std::string indented(const Json& json, const std::string& margin) {
  if (!json.is_structured() || json.empty()) return json.dump();
  const std::string deeper = margin + "  ";
  std::string out;
  for (const auto& item : json.items()) {
    const bool short_one = item.key() == "provenance" || item.value().contains("low_95");
    const std::string value = short_one ? one_line(item.value()) : indented(item.value(), deeper);
    out += fmt::format("{}{}{}{}", out.empty() ? "\n" : ",\n", deeper,
                       json.is_object() ? Json(item.key()).dump() + ": " : "", value);
  }
  return fmt::format("{}{}\n{}{}", json.is_object() ? "{" : "[", out, margin,
                     json.is_object() ? "}" : "]");
}

using Picks = std::function<bool(const MeasuredRow&)>;

std::vector<double> some(const FitOutcome& outcome, const VectorXd& residuals, const Picks& picks) {
  std::vector<double> out;
  for (std::size_t i = 0; i < outcome.before.size(); ++i) {
    const auto at = static_cast<Index>(i);
    if (outcome.fit.end.weights[at] > 0 && picks(outcome.before[i])) out.push_back(residuals[at]);
  }
  return out;
}

VectorXd residuals_before(const FitOutcome& outcome) {
  VectorXd out(static_cast<Index>(outcome.before.size()));
  for (std::size_t i = 0; i < outcome.before.size(); ++i)
    out[static_cast<Index>(i)] = outcome.before[i].residual;
  return out;
}

// One line of errors: rows, before, fitted, and each cross-validation.
struct ErrorLine {
  std::string name;
  std::size_t rows = 0;
  std::vector<double> medians;
};

ErrorLine line_of(const FitOutcome& outcome, const std::string& name, const Picks& picks) {
  ErrorLine out{name, some(outcome, outcome.fitted(), picks).size(), {}};
  out.medians.push_back(median_percent(some(outcome, residuals_before(outcome), picks)));
  out.medians.push_back(median_percent(some(outcome, outcome.fitted(), picks)));
  for (const CrossValidation& cross : outcome.cross)
    out.medians.push_back(median_percent(some(outcome, outcome.cross_validated(cross), picks)));
  return out;
}

std::vector<ErrorLine> lines_of(const FitOutcome& outcome) {
  std::vector<ErrorLine> out;
  for (const std::string& metric : outcome.plan.metrics)
    out.push_back(line_of(outcome, metric,
                          [&](const MeasuredRow& row) { return row.metric_class == metric; }));
  std::set<std::string> studies;
  for (const MeasuredRow& row : outcome.before) studies.insert(row.study);
  for (const std::string& study : studies)
    out.push_back(
        line_of(outcome, study, [&](const MeasuredRow& row) { return row.study == study; }));
  out.push_back(line_of(outcome, "all", [](const MeasuredRow&) { return true; }));
  return out;
}

}  // namespace

VectorXd FitOutcome::cross_validated(const CrossValidation& of) const {
  VectorXd out = fitted();
  for (const Fold& fold : of.folds)
    for (std::size_t k = 0; k < fold.rows.size(); ++k)
      out[fold.rows[k]] = fold.residuals[static_cast<Index>(k)];
  return out;
}

double median_percent(const std::vector<double>& residuals) {
  std::vector<double> sizes;
  for (const double residual : residuals) sizes.push_back(std::abs(percent(residual)));
  if (sizes.empty()) return 0;
  std::sort(sizes.begin(), sizes.end());
  return (sizes[(sizes.size() - 1) / 2] + sizes[sizes.size() / 2]) / 2;
}

std::string fit_table(const FitOutcome& outcome) {
  std::string out =
      fmt::format("{:<40}{:>11}{:>11}{:>24}\n", "constant", "prior", "fitted", "95 %");
  for (std::size_t j = 0; j < outcome.plan.constants.size(); ++j) {
    const FittedConstant& one = outcome.plan.constants[j];
    const double value = outcome.fit.end.at[static_cast<Index>(j)];
    const double half = outcome.half_widths[static_cast<Index>(j)];
    out += fmt::format("{:<40}{:>11.4g}{:>11.4g}{:>24}{}\n", one.model + " " + short_name(one),
                       one.prior, value,
                       fmt::format("{:.4g} to {:.4g}", std::max(one.low, value - half),
                                   std::min(one.high, value + half)),
                       value == one.low || value == one.high ? "  at its bound" : "");
  }
  out += fmt::format("\n{:<40}{:>6}{:>11}{:>11}", "median error, %", "rows", "prior", "fitted");
  for (const CrossValidation& cross : outcome.cross)
    out += fmt::format("{:>14}", "without " + cross.by);
  out += "\n";
  for (const ErrorLine& line : lines_of(outcome)) {
    out += fmt::format("{:<40}{:>6}", line.name, line.rows);
    for (std::size_t k = 0; k < line.medians.size(); ++k)
      out += k < 2 ? fmt::format("{:>11.1f}", line.medians[k])
                   : fmt::format("{:>14.1f}", line.medians[k]);
    out += "\n";
  }
  for (const CrossValidation& cross : outcome.cross)
    for (const auto& check : cross.checks)
      out += fmt::format("without {} {}: {:.1f} % linearised, {:.1f} % simulated\n", cross.by,
                         check.left_out, check.linear_percent, check.simulated_percent);
  out += fmt::format("loss {:.4g}, before {:.4g}; {} evaluations\n", outcome.fit.loss,
                     outcome.fit.loss_before, outcome.fit.evaluations);
  return out;
}

Json fit_json(const FitOutcome& outcome) {
  Json constants = Json::array();
  for (std::size_t j = 0; j < outcome.plan.constants.size(); ++j) {
    const auto at = static_cast<Index>(j);
    Json one = echo_config(outcome.plan.constants[j]);
    one["value"] = outcome.fit.end.at[at];
    one["half_width_95"] = outcome.half_widths[at];
    constants.push_back(std::move(one));
  }
  Json errors = Json::array();
  for (const ErrorLine& line : lines_of(outcome)) {
    Json one = {{"name", line.name},
                {"rows", line.rows},
                {"prior_percent", line.medians[0]},
                {"fitted_percent", line.medians[1]}};
    for (std::size_t k = 0; k < outcome.cross.size(); ++k)
      one["without_" + outcome.cross[k].by + "_percent"] = line.medians[k + 2];
    errors.push_back(std::move(one));
  }
  Json folds = Json::array();
  for (const CrossValidation& cross : outcome.cross)
    for (const Fold& fold : cross.folds)
      folds.push_back({{"without", cross.by},
                       {"name", fold.left_out},
                       {"rows", fold.rows.size()},
                       {"values", std::vector<double>(fold.values.begin(), fold.values.end())}});
  return {{"schema", "kvsim.fit_report/1"},
          {"constants", std::move(constants)},
          {"median_errors", std::move(errors)},
          {"folds", std::move(folds)},
          {"loss", outcome.fit.loss},
          {"loss_before", outcome.fit.loss_before},
          {"evaluations", outcome.fit.evaluations}};
}

std::string fit_rows_csv(const FitOutcome& outcome) {
  std::string out = "case_id,study,gpu,model,metric,class,weight,prior_percent,fitted_percent";
  std::vector<VectorXd> cross;
  for (const CrossValidation& one : outcome.cross) {
    out += fmt::format(",without_{}_percent", one.by);
    cross.push_back(outcome.cross_validated(one));
  }
  out += "\n";
  for (std::size_t i = 0; i < outcome.before.size(); ++i) {
    const MeasuredRow& row = outcome.before[i];
    const auto at = static_cast<Index>(i);
    for (const std::string* text :
         {&row.case_id, &row.study, &row.gpu, &row.model, &row.metric, &row.metric_class})
      out += csv_field(*text) + ",";
    out += fmt::format("{:.5f},{:.2f},{:.2f}", outcome.fit.end.weights[at], percent(row.residual),
                       percent(outcome.fitted()[at]));
    for (const VectorXd& residuals : cross) out += fmt::format(",{:.2f}", percent(residuals[at]));
    out += "\n";
  }
  return out;
}

void put_fitted(Json& file, const std::string& model, const FitOutcome& outcome) {
  Json& list = file["fitted"];
  if (!list.is_array()) list = Json::array();
  for (std::size_t j = 0; j < outcome.plan.constants.size(); ++j) {
    const FittedConstant& one = outcome.plan.constants[j];
    if (one.model != model) continue;
    const double value = outcome.fit.end.at[static_cast<Index>(j)];
    const double half = outcome.half_widths[static_cast<Index>(j)];
    const Json entry = {{"path", one.path},
                        {"value", kept_within(value, one)},
                        {"low_95", kept_within(value - half, one)},
                        {"high_95", kept_within(value + half, one)}};
    const auto known = std::find_if(list.begin(), list.end(), [&](const Json& old) {
      return old.value("path", "") == one.path;
    });
    if (known == list.end())
      list.push_back(entry);
    else
      *known = entry;
  }
}

std::string engine_text(const Json& file) { return indented(file, "") + "\n"; }

}  // namespace kvsim
