// kvsim validate --cases INDEX.csv [--measurements M.csv] [--per-request DIR] [-o DIR]
//                [--study S]... [--split X] [--completeness A,A-,B] [--case ID]... [--resume] ...
//
// Builds an experiment for every server life of published runs, runs them, counts as their tools
// did and compares: docs/validation.md.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/cli/validate_modes.hpp"
#include "sim/cli/validate_storage.hpp"
#include "sim/cli/validation_replays.hpp"
#include "sim/cli/validation_report.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct ValidateArguments {
  std::string cases;
  std::string measurements;
  std::string per_request;
  std::string templates = (fs::path(KVSIM_CONFIGS_DIR) / "validation").string();
  std::string overrides;
  std::string page;
  std::string gates;
  std::vector<std::string> studies;
  std::vector<std::string> completeness = {"A", "A-", "B"};
  std::vector<std::string> ids;
  std::string split;
  std::string sensitivity;
  std::string inputs;
  std::string fit;
  bool write = false;
  ValidationRuns runs{.folder = "results/validation"};
};

bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<bool> choose(const ValidateArguments& arguments,
                         const std::vector<ValidationCase>& cases) {
  std::vector<bool> out;
  for (const ValidationCase& of : cases) {
    const bool named = has(arguments.ids, of.id());
    const bool study = arguments.studies.empty() || has(arguments.studies, of.study());
    const bool split = arguments.split.empty() || arguments.split == of.at("split");
    const bool grade = has(arguments.completeness, of.at("completeness"));
    out.push_back(arguments.ids.empty() ? study && split && grade : named);
  }
  for (const std::string& id : arguments.ids)
    if (std::none_of(cases.begin(), cases.end(), [&](const auto& of) { return of.id() == id; }))
      throw ConfigError(
          fmt::format("--case: found \"{}\"; allowed: a case_id of {}", id, arguments.cases));
  for (const std::string& study : arguments.studies)
    if (std::none_of(cases.begin(), cases.end(),
                     [&](const auto& of) { return of.study() == study; }))
      throw ConfigError(
          fmt::format("--study: found \"{}\"; allowed: a study of {}", study, arguments.cases));
  return out;
}

// The plan of all runs. A template with an error is told on standard error; the others go on.
struct Plan {
  std::vector<Study> studies;
  std::vector<PlannedRun> runs;
  std::vector<Replay> replays;
  int exit_code = kExitOk;
};

// Adds what the template in `file` makes of the chosen cases, if it serves one of them.
void plan_study(const ValidateArguments& arguments, const std::string& file,
                const std::set<std::string, std::less<>>& needed,
                const std::vector<ValidationCase>& cases, const std::vector<bool>& chosen,
                Plan& plan) {
  const Json json = load_json(file);
  const Json names = json.value("studies", Json::array());
  if (std::none_of(names.begin(), names.end(), [&](const Json& name) {
        return name.is_string() && needed.contains(name.get<std::string>());
      }))
    return;
  Study study(file);
  std::vector<PlannedRun> runs = study.plan(cases, chosen, arguments.per_request);
  for (Replay& replay : plan_replays(study, runs, cases, arguments.per_request))
    plan.replays.push_back(std::move(replay));
  std::move(runs.begin(), runs.end(), std::back_inserter(plan.runs));
  plan.studies.push_back(std::move(study));
}

Plan plan_studies(const ValidateArguments& arguments, const std::vector<ValidationCase>& cases,
                  const std::vector<bool>& chosen) {
  std::set<std::string, std::less<>> needed;
  for (std::size_t i = 0; i < cases.size(); ++i)
    if (chosen[i]) needed.emplace(cases[i].study());
  Plan plan;
  for (const std::string& file : template_files(arguments.templates)) {
    try {
      plan_study(arguments, file, needed, cases, chosen, plan);
    } catch (const ConfigError& complaint) {
      fmt::print(stderr, "{}\n", complaint.what());
      plan.exit_code = kExitUser;
    }
  }
  return plan;
}

// Chosen cases without a run have rows, too, so that a gap is seen.
void add_gaps(const std::vector<bool>& chosen, const std::vector<PlannedRun>& runs,
              const std::vector<std::vector<Prediction>>& wanted,
              std::vector<Prediction>& predictions) {
  std::vector<bool> open = chosen;
  for (const PlannedRun& run : runs)
    for (const CaseCut& cut : run.cuts) open[cut.of_case] = false;
  for (std::size_t i = 0; i < open.size(); ++i)
    if (open[i]) predictions.insert(predictions.end(), wanted[i].begin(), wanted[i].end());
}

// Model overrides of a file, laid over those that a template has itself.
void add_overrides(const std::string& file, std::vector<PlannedRun>& runs) {
  if (file.empty()) return;
  const Json overrides = load_json(file);
  ConfigNode(overrides, file).expect_array();
  for (PlannedRun& run : runs)
    for (Json& experiment : run.experiments)
      if (!experiment.is_null())
        for (const Json& item : overrides) experiment["model_overrides"].push_back(item);
}

// What has no prediction, and why.
void tell_gaps(const std::vector<ValidationCase>& cases, const std::vector<bool>& chosen,
               const std::vector<Study>& studies, const std::vector<Prediction>& predictions) {
  std::map<std::string, std::size_t> untold;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const bool served = std::any_of(studies.begin(), studies.end(), [&](const Study& study) {
      return study.serves(cases[i].study());
    });
    if (chosen[i] && !served) ++untold[std::string(cases[i].study())];
  }
  for (const auto& [study, count] : untold)
    fmt::print("no template: {} ({} cases)\n", study, count);
  std::map<std::string, std::size_t> empty;
  for (const Prediction& p : predictions)
    if (!p.predicted) ++empty[p.metric];
  if (empty.empty()) return;
  std::vector<std::string> words;
  for (const auto& [metric, count] : empty) words.push_back(fmt::format("{} ({})", metric, count));
  fmt::print("no prediction: {}\n", fmt::join(words, ", "));
}

int run_validate(const ValidateArguments& arguments) {
  const auto began = std::chrono::steady_clock::now();
  const std::vector<ValidationCase> cases = read_cases(arguments.cases);
  const std::vector<Measurement> measurements = arguments.measurements.empty()
                                                    ? std::vector<Measurement>()
                                                    : read_measurements(arguments.measurements);
  const std::vector<bool> chosen = choose(arguments, cases);
  Plan plan = plan_studies(arguments, cases, chosen);
  add_overrides(arguments.overrides, plan.runs);
  const auto wanted = wanted_predictions(cases, measurements);
  ValidationOutcome outcome = run_validation(arguments.runs, plan.runs, cases, wanted);
  if (arguments.runs.plan_only) {
    fmt::print("{} runs planned: {}/runs\n", outcome.runs, arguments.runs.folder.string());
    return plan.exit_code;
  }
  add_gaps(chosen, plan.runs, wanted, outcome.predictions);
  predict_storage(plan.studies, cases, outcome.predictions);
  const int bounds = report_validation({arguments.runs.folder, arguments.page, arguments.gates},
                                       cases, outcome.predictions,
                                       grade(plan.studies, plan.runs, cases, outcome.predictions));
  tell_gaps(cases, chosen, plan.studies, outcome.predictions);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  fmt::print("{} runs, {} taken over, {} failed, {:.1f} s; predictions: {}\n", outcome.runs,
             outcome.taken_over, outcome.failed, wall.count(),
             (arguments.runs.folder / "predictions.csv").string());
  constexpr int kInterrupted = 130;
  if (outcome.interrupted) return kInterrupted;
  const int replayed =
      plan.replays.empty() ? kExitOk : run_replays(arguments.runs, plan.replays, cases);
  return std::max({plan.exit_code, outcome.exit_code, bounds, replayed});
}

bool in_cases(const ValidateArguments& arguments) {
  return arguments.sensitivity.empty() && arguments.fit.empty();
}

int run_mode(const ValidateArguments& a) {
  if (!a.sensitivity.empty())
    return run_sensitivity({a.sensitivity, a.inputs, a.runs.folder, a.runs.jobs, a.runs.quiet});
  if (a.cases.empty())
    throw ConfigError(
        "kvsim validate: found no --cases; allowed: an index of cases, or --sensitivity");
  if (a.fit.empty()) return run_validate(a);
  return run_validation_fit({.plan = a.fit,
                             .cases = a.cases,
                             .measurements = a.measurements,
                             .per_request = a.per_request,
                             .templates = a.templates,
                             .folder = a.runs.folder.empty() ? "results/fit" : a.runs.folder,
                             .jobs = a.runs.jobs,
                             .write = a.write,
                             .resume = a.runs.resume,
                             .quiet = a.runs.quiet});
}

void add_mode_options(CLI::App& command, ValidateArguments& a) {
  auto* sensitivity = command.add_option("--sensitivity", a.sensitivity,
                                         "Instead: elasticities of this experiment's figures");
  command.add_option("--inputs", a.inputs, "With --sensitivity: which inputs (JSON)")
      ->needs(sensitivity);
  auto* fit = command.add_option(
      "--fit", a.fit, "Instead: fit constants of models/ as this plan says (configs/validation)");
  fit->excludes(sensitivity);
  command.add_flag("--write", a.write, "With --fit: write the values into models/")->needs(fit);
}

}  // namespace

void add_validate_command(CLI::App& app) {
  auto arguments = std::make_shared<ValidateArguments>();
  CLI::App* command = app.add_subcommand(
      "validate", "Predicts published runs and compares with what they measured");
  ValidateArguments& a = *arguments;
  command->add_option("--cases", a.cases, "Configurations (CSV): case_id, study, ...");
  command->add_option("--measurements", a.measurements,
                      "Results (CSV): case_id, study, metric, stat, unit, value, flag");
  command->add_option("--per-request", a.per_request,
                      "Folder of per-request files: those requests are served again, too");
  command->add_option("--templates", a.templates, "Folder of the studies' templates")
      ->capture_default_str();
  command->add_option("--study", a.studies, "Only these studies");
  command->add_option("--split", a.split, "Only the cases of this split");
  command->add_option("--completeness", a.completeness, "Only cases of these grades")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--case", a.ids, "Only these cases, whatever their study and grade");
  command->add_option("--overrides", a.overrides,
                      "A list of model overrides (JSON) for every experiment");
  command->add_option("-o,--output", a.runs.folder, "Folder for runs and results")
      ->capture_default_str();
  command->add_option("--gates", a.gates, "Bounds of errors (JSON); exit code 1 for a broken one");
  command->add_option("--page", a.page, "A Markdown page whose tables are brought up to date");
  add_mode_options(*command, a);
  command->add_option("-j,--jobs", a.runs.jobs, "Runs at a time; default: all cores");
  command->add_flag("--resume", a.runs.resume,
                    "Take over what was counted from the same input by the same program");
  command->add_flag("--keep", a.runs.keep, "Keep requests.csv of every run");
  command->add_flag("--plan", a.runs.plan_only, "Write the experiments and run nothing");
  command->add_flag("--quiet", a.runs.quiet, "No progress");
  command->callback([arguments, command] {
    if (command->count("--output") == 0 && !in_cases(*arguments)) arguments->runs.folder.clear();
    const int code = run_mode(*arguments);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace kvsim
