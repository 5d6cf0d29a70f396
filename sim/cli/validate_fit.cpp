// The fit of constants that kernels do not show to published runs: the runs behind
// sim/validate/fit_robust.hpp. Only cases of the split "dev" are ever looked at.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/child_runs.hpp"
#include "sim/cli/validate_modes.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/perf/model_overlay.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/fit_report.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct Interrupted {};

std::vector<PlannedRun> plan_runs(const FitArguments& arguments,
                                  const std::vector<ValidationCase>& cases,
                                  const std::vector<std::string>& studies) {
  std::vector<bool> dev;
  for (const ValidationCase& of : cases) dev.push_back(of.at("split") == "dev");
  std::vector<PlannedRun> runs;
  for (const std::string& file : template_files(arguments.templates)) {
    const Study study(file);
    if (std::any_of(studies.begin(), studies.end(), [&](const auto& s) { return study.serves(s); }))
      for (PlannedRun& run : study.plan(cases, dev, arguments.per_request))
        runs.push_back(std::move(run));
  }
  return runs;
}

class FitRuns {
 public:
  explicit FitRuns(const FitArguments& arguments)
      : arguments_(arguments), folder_(arguments.folder), cases_(read_cases(arguments.cases)) {
    const Json json = load_json(arguments.plan);
    const ConfigNode node(json, arguments.plan);
    outcome_.plan = read_config<FitPlan>(node);
    outcome_.plan.check(node);
    try_constants(node.at("constants"));
    const auto runs = plan_runs(arguments, cases_, outcome_.plan.studies);
    chosen_ = thin_cases(outcome_.plan, runs, cases_);
    if (chosen_.empty())
      throw ConfigError(
          fmt::format("{}: found no dev case of its studies; allowed: studies of {} "
                      "with a template",
                      arguments.plan, arguments.cases));
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) throw EnvironmentError(fmt::format("{}: {}", folder_.string(), error.message()));
  }

  int run() {
    const FitPlan& plan = outcome_.plan;
    fmt::print(stderr, "{} cases, {} constants\n", chosen_.size(), plan.constants.size());
    open_rows();
    const auto residuals_at = [this](const Eigen::VectorXd& x) { return evaluate(x, chosen_); };
    std::vector<std::string> groups, studies, gpus;
    for (const MeasuredRow& row : outcome_.before) {
      groups.push_back(row.study + " " + row.metric_class);
      studies.push_back(row.study);
      gpus.push_back(row.gpu);
    }
    std::vector<bool> counts;
    for (const MeasuredRow& row : outcome_.before) counts.push_back(std::isfinite(row.residual));
    outcome_.fit =
        fit_robust(residuals_at, group_weights(groups, counts), plan.parameters(), plan.options());
    outcome_.half_widths =
        half_widths(outcome_.fit.end, clusters(), plan.parameters(), plan.options());
    cross_validate("study", studies, groups);
    cross_validate("gpu", gpus, groups);
    report();
    return kExitOk;
  }

 private:
  // A constant that no model file has is told before hours of runs.
  void try_constants(const ConfigNode& node) const {
    std::vector<ModelOverride> changes;
    for (const FittedConstant& one : outcome_.plan.constants)
      changes.push_back({one.model, one.path, std::nullopt, one.prior});
    const ModelOverlay trial(changes, node);
  }

  // Runs of one study on one GPU with one LLM err together.
  [[nodiscard]] std::vector<std::string> clusters() const {
    std::vector<std::string> out;
    for (const MeasuredRow& row : outcome_.before)
      out.push_back(row.study + "/" + row.gpu + "/" + row.model);
    return out;
  }

  std::vector<MeasuredRow> validate(const Eigen::VectorXd& x, const std::vector<std::size_t>& of) {
    const std::string name = fmt::format("evaluation-{:03}", evaluations_++);
    const fs::path place = folder_ / name;
    const fs::path overrides = folder_ / (name + ".json");
    write_json_file(overrides.string(), outcome_.plan.overrides(x));
    ChildRun child{{"kvsim", "validate", "--cases", arguments_.cases, "--measurements",
                    arguments_.measurements, "--templates", arguments_.templates, "--overrides",
                    overrides.string(), "-o", place.string(), "--quiet"},
                   (folder_ / (name + ".log")).string()};
    if (!arguments_.per_request.empty())
      child.command.insert(child.command.end(), {"--per-request", arguments_.per_request});
    if (arguments_.jobs > 0)
      child.command.insert(child.command.end(), {"-j", std::to_string(arguments_.jobs)});
    if (arguments_.resume) child.command.emplace_back("--resume");
    for (const std::size_t index : of)
      child.command.insert(child.command.end(), {"--case", std::string(cases_[index].id())});
    std::error_code ignored;
    fs::remove(place / "predictions.csv", ignored);
    if (!run_children(
            {.unit = "evaluations", .jobs = 1, .quiet = true}, 1,
            [&](std::size_t) { return child; }, [](std::size_t, int) {}))
      throw Interrupted();
    // Some runs may have failed: their rows have no prediction.
    if (!fs::exists(place / "predictions.csv"))
      throw ConfigError(fmt::format("kvsim validate: {}", last_line(child.log)));
    if (!arguments_.quiet) fmt::print(stderr, "evaluation {} done\n", evaluations_);
    auto rows = read_measured_rows((place / "predictions.csv").string(), outcome_.plan, cases_);
    if (!arguments_.resume) fs::remove_all(place / "runs", ignored);
    return rows;
  }

  // The rows that there are, and where each stands.
  void open_rows() {
    Eigen::VectorXd priors(static_cast<Eigen::Index>(outcome_.plan.constants.size()));
    for (std::size_t j = 0; j < outcome_.plan.constants.size(); ++j)
      priors[static_cast<Eigen::Index>(j)] = outcome_.plan.constants[j].prior;
    outcome_.before = validate(priors, chosen_);
    for (std::size_t i = 0; i < outcome_.before.size(); ++i)
      place_.emplace(outcome_.before[i].key(), static_cast<Eigen::Index>(i));
    if (outcome_.before.empty())
      throw ConfigError(
          fmt::format("{}: found no measurement that counts; allowed: others of its "
                      "metrics and stats",
                      arguments_.plan));
    at_priors_ = priors;
  }

  Eigen::VectorXd evaluate(const Eigen::VectorXd& x, const std::vector<std::size_t>& of) {
    const std::vector<MeasuredRow> rows = x == at_priors_ ? outcome_.before : validate(x, of);
    Eigen::VectorXd out =
        Eigen::VectorXd::Constant(static_cast<Eigen::Index>(outcome_.before.size()), std::nan(""));
    for (const MeasuredRow& row : rows)
      if (const auto at = place_.find(row.key()); at != place_.end())
        out[at->second] = row.residual;
    return out;
  }

  void cross_validate(const std::string& by, const std::vector<std::string>& labels,
                      const std::vector<std::string>& groups) {
    CrossValidation cross{by,
                          leave_each_out(outcome_.fit.end, labels, groups,
                                         outcome_.plan.parameters(), outcome_.plan.options()),
                          {}};
    // Those whose constants moved most: where the linear prediction is worth least.
    std::vector<const Fold*> far;
    for (const Fold& fold : cross.folds) far.push_back(&fold);
    const auto moved = [&](const Fold* fold) {
      double most = 0;
      for (std::size_t j = 0; j < outcome_.plan.constants.size(); ++j) {
        const auto at = static_cast<Eigen::Index>(j);
        most = std::max(most, std::abs(fold->values[at] - outcome_.fit.end.at[at]) /
                                  outcome_.plan.constants[j].spread);
      }
      return most;
    };
    std::stable_sort(far.begin(), far.end(),
                     [&](const Fold* a, const Fold* b) { return moved(a) > moved(b); });
    far.resize(std::min(far.size(), static_cast<std::size_t>(outcome_.plan.checked_folds)));
    for (const Fold* fold : far) cross.checks.push_back(check(*fold));
    outcome_.cross.push_back(std::move(cross));
  }

  CrossValidation::Check check(const Fold& fold) {
    std::set<std::string> ids;
    for (const Eigen::Index row : fold.rows)
      ids.insert(outcome_.before[static_cast<std::size_t>(row)].case_id);
    std::vector<std::size_t> left_out;
    for (const std::size_t index : chosen_)
      if (ids.contains(std::string(cases_[index].id()))) left_out.push_back(index);
    const Eigen::VectorXd simulated = evaluate(fold.values, left_out);
    std::vector<double> linear, real;
    for (std::size_t k = 0; k < fold.rows.size(); ++k) {
      if (!std::isfinite(simulated[fold.rows[k]])) continue;
      linear.push_back(fold.residuals[static_cast<Eigen::Index>(k)]);
      real.push_back(simulated[fold.rows[k]]);
    }
    return {fold.left_out, median_percent(linear), median_percent(real)};
  }

  void report() const {
    fmt::print("{}", fit_table(outcome_));
    write_json_file((folder_ / "fit.json").string(), fit_json(outcome_));
    write_text_file((folder_ / "rows.csv").string(), fit_rows_csv(outcome_));
    fmt::print("results: {}\n", folder_.string());
    if (arguments_.write) write_models();
  }

  void write_models() const {
    std::set<std::string> models;
    for (const FittedConstant& one : outcome_.plan.constants) models.insert(one.model);
    for (const std::string& model : models) {
      const std::size_t slash = model.find('/');
      const std::string path = find_model(model.substr(0, slash), model.substr(slash + 1));
      Json file = load_json(path);
      put_fitted(file, model, outcome_);
      for (const Json& entry : file.at("fitted"))
        override_model(
            file, {model, entry.at("path"), std::nullopt, entry.at("value").get<double>()}, path);
      write_text_file(path, engine_text(file));
      fmt::print("{} written\n", path);
    }
  }

  const FitArguments& arguments_;
  fs::path folder_;
  std::vector<ValidationCase> cases_;
  std::vector<std::size_t> chosen_;
  FitOutcome outcome_;
  std::map<std::string, Eigen::Index> place_;  // of a row, by its key
  Eigen::VectorXd at_priors_;
  int evaluations_ = 0;
};

}  // namespace

int run_validation_fit(const FitArguments& arguments) {
  if (arguments.measurements.empty())
    throw ConfigError("--fit: found no --measurements; allowed: a file of results");
  try {
    return FitRuns(arguments).run();
  } catch (const Interrupted&) {
    constexpr int kInterrupted = 130;
    return kInterrupted;
  }
}

}  // namespace kvsim
