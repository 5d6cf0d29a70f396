// What a fit of constants to published runs is told: configs/validation/fit.json, "schema":
// "kvsim.fit/1". Which constants, what is known of them beforehand, which measurements count.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/fit_robust.hpp"
#include "sim/validate/study.hpp"

namespace kvsim {

// A number of a model file; with * in its path all of that name are set to one value.
struct FittedConstant {
  std::string model;
  std::string path;
  double prior = 0;
  double spread = 0;
  double low = 0;
  double high = 0;
  std::string reason;

  template <class F>
  void fields(F& f) {
    f.required("model", model, "<kind>/<name> of models/.");
    f.required("path", path, "JSON pointer into it; * is every element of a list.");
    f.required("prior", prior, "What is believed before; not what an earlier fit found.");
    f.required("spread", spread, Range{1e-15, 1e15}, "Standard error of that belief.");
    f.required("low", low, "Lowest value it may take.");
    f.required("high", high, "Highest value.");
    f.required("reason", reason, "Why so, and which measurements tell.");
  }
};

// A study's class of metrics whose error is not these constants'.
struct LeftOut {
  std::string study;
  std::string metric;
  std::string reason;

  template <class F>
  void fields(F& f) {
    f.required("study", study, "Whose.");
    f.required("metric", metric, "A class of metrics.");
    f.required("reason", reason, "What makes that error instead.");
  }
};

struct FitPlan {
  std::string schema;
  std::vector<FittedConstant> constants;
  std::vector<std::string> studies;
  std::vector<std::string> metrics = {"ttft", "itl", "e2e", "throughput"};
  std::vector<std::string> stats = {"mean", "median", "p50", "mean_or_median", "total", "rate"};
  std::vector<LeftOut> left_out;
  std::int64_t max_cases_per_study = 8;
  double noise = 0.1;
  double knee = 1.5;
  double step_share = 0.5;
  std::int64_t iterations = 3;
  std::int64_t checked_folds = 1;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.fit/1"}, "What this file is.");
    f.required("constants", constants, "What is fitted.");
    f.required("studies", studies, "Whose measurements count.");
    f.optional("metrics", metrics, "Classes of metrics that count.");
    f.optional("stats", stats,
               "Of these, up to a parenthesis: tails follow chance more than constants.");
    f.optional("left_out", left_out, "What of these does not count, and why.");
    f.optional("max_cases_per_study", max_cases_per_study, Range{1, 1e6},
               "Whole runs are taken until this many cases are.");
    f.optional("noise", noise, Range{1e-3, 10},
               "Standard error of one study's class of metrics, as ln(predicted / measured).");
    f.optional("knee", knee, Range{0.1, 1e9}, "Of the Huber loss, in units of noise.");
    f.optional("step_share", step_share, Range{0.01, 2}, "Differences, in units of spread.");
    f.optional("iterations", iterations, Range{0, 100}, "Most Gauss-Newton steps.");
    f.optional("checked_folds", checked_folds, Range{0, 100},
               "Folds of each cross-validation whose prediction is simulated as well.");
  }
  void check(const ConfigNode& node) const;

  [[nodiscard]] std::vector<FitParameter> parameters() const;
  [[nodiscard]] RobustOptions options() const;
  // A list of model overrides.
  [[nodiscard]] Json overrides(const Eigen::VectorXd& values) const;
};

// The name of a constant in tables: what follows the last slash.
[[nodiscard]] std::string short_name(const FittedConstant& constant);

// Indices of cases: whole runs of the plan's studies, taken in turn from each GPU, LLM and
// tier configuration that a study has, up to the plan's number of cases a study. `split` is that
// of the cases that may be looked at.
[[nodiscard]] std::vector<std::size_t> thin_cases(const FitPlan& plan,
                                                  const std::vector<PlannedRun>& runs,
                                                  const std::vector<ValidationCase>& cases);

// One measurement that counts.
struct MeasuredRow {
  std::string case_id;
  std::string study;
  std::string gpu;
  std::string model;
  std::string metric;  // with its stat
  std::string metric_class;
  double residual = 0;  // ln(predicted / measured); NaN without a prediction

  [[nodiscard]] std::string key() const { return case_id + " " + metric; }
};

// Of a predictions.csv, in its order. Flagged measurements, those of 0 and what the plan leaves out
// are not among them.
[[nodiscard]] std::vector<MeasuredRow> read_measured_rows(const std::string& predictions,
                                                          const FitPlan& plan,
                                                          const std::vector<ValidationCase>& cases);

}  // namespace kvsim
