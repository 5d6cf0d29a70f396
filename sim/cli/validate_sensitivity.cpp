// Sensitivity of an experiment's figures to its inputs: the runs behind
// sim/validate/elasticity.hpp.
//
// The experiment runs once as it is; what it says of itself then, with every default filled in, is
// what is varied, so that each default has a place. It must run to the same figures.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/cli/child_runs.hpp"
#include "sim/cli/validate_modes.hpp"
#include "sim/kv/connector.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/elasticity.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct SensitivityFile {
  std::string schema;
  std::vector<std::string> inputs;
  double step = 0.1;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.sensitivity/1"}, "What this file is.");
    f.optional("inputs", inputs, "Patterns of inputs' names. Default: all.");
    f.optional("step", step, Range{0.001, 0.5}, "Share by which each is varied, either way.");
  }
};

class SensitivityRuns {
 public:
  explicit SensitivityRuns(const SensitivityArguments& arguments)
      : arguments_(arguments), folder_(arguments.folder) {
    if (!arguments.inputs.empty()) {
      const Json json = load_json(arguments.inputs);
      file_ = read_config<SensitivityFile>(ConfigNode(json, arguments.inputs));
    }
    std::error_code error;
    fs::create_directories(folder_ / "runs", error);
    if (error) throw EnvironmentError(fmt::format("{}: {}", folder_.string(), error.message()));
  }

  int run() {
    open_base();
    choose_inputs();
    vary();
    if (stopped_) return kExitDifference;
    report();
    return kExitOk;
  }

 private:
  [[nodiscard]] ChildRun child(const std::string& experiment, const std::string& name,
                               const std::string& override_text = "") const {
    std::vector<std::string> command = {"kvsim", "run", experiment};
    if (!override_text.empty()) command.insert(command.end(), {"--set", override_text});
    const std::string folder = (folder_ / "runs" / name).string();
    command.insert(command.end(), {"--outputs", "summary", "--quiet", "-o", folder});
    return {std::move(command), folder + ".log"};
  }

  [[nodiscard]] Json result(const std::string& name, const char* file) const {
    return load_json((folder_ / "runs" / name / file).string());
  }

  // One run before the others; ends in the user's error when it does.
  void run_first(const std::string& experiment, const std::string& name) {
    const ChildRun only = child(experiment, name);
    int code = 0;
    const bool whole = run_children(
        {.unit = "runs", .jobs = 1, .quiet = true}, 1, [&](std::size_t) { return only; },
        [&](std::size_t, int exit_code) { code = exit_code; });
    if (whole && code == kExitOk) return;
    throw ConfigError(fmt::format("{}: {}", experiment, last_line(only.log)));
  }

  void open_base() {
    run_first(arguments_.experiment, "as-given");
    base_ = result("as-given", "summary.json");
    resolved_ = result("as-given", "run.json").at("experiment");
    models_ = base_.at("provenance").at("profiles");
    base_file_ = (folder_ / "experiment.json").string();
    with_connector_defaults(resolved_);
    write_json_file(base_file_, resolved_);
    run_first(base_file_, "resolved");
    const Json again = result("resolved", "summary.json");
    for (const Output& output : sensitivity_outputs()) {
      const Json::json_pointer at(output.pointer);
      if (base_.contains(at) && base_.at(at) != again.at(at))
        fmt::print(stderr, "{} is {} with all defaults written out, {} as given\n", output.name,
                   again.at(at).dump(), base_.at(at).dump());
    }
    base_ = again;
  }

  // An experiment echoes a connector as given; its defaults are inputs too.
  static void with_connector_defaults(Json& resolved) {
    for (Json& pool : resolved["pools"]) {
      if (!pool.contains("connector") || pool["connector"].is_null()) continue;
      const Json given = pool["connector"];
      const ConfigNode node(given, "connector");
      pool["connector"] = Registry<Connector>::instance().find(node).resolve(node);
    }
  }

  void choose_inputs() {
    inputs_ = inputs_of_experiment(resolved_);
    std::vector<std::string> models;
    for (const Json& name : models_) models.push_back(name.get<std::string>());
    for (const std::string& disk : disks_of(resolved_)) models.push_back(disk);
    for (const std::string& model : models) {
      const std::string kind = model.substr(0, model.find('/'));
      // Shapes of LLMs are what they are; prices have no part in the simulation but the cost.
      if (kind == "llm" || kind == "prices" || kind == "calibration") continue;
      const Json file = load_model(find_model(kind, model.substr(kind.size() + 1)));
      for (Input& input : inputs_of_model(file, model)) inputs_.push_back(std::move(input));
    }
    if (!file_.inputs.empty()) inputs_ = chosen(inputs_, file_.inputs);
    if (inputs_.empty())
      throw ConfigError(
          fmt::format("{}: found no input that can be varied; allowed: patterns such "
                      "as \"/load/*\" or \"gpu/* /peaks/*\"",
                      arguments_.inputs));
  }

  void vary() {
    std::vector<std::array<Nudge, 2>> nudges;
    std::vector<Input> movable;
    for (const Input& input : inputs_) {
      const auto both = nudges_of(input, file_.step, resolved_);
      if (!both) continue;
      movable.push_back(input);
      nudges.push_back(*both);
    }
    inputs_ = std::move(movable);
    const auto name_of = [](std::size_t i) {
      return fmt::format("{:04}-{}", i / 2, i % 2 == 0 ? "down" : "up");
    };
    std::vector<std::string> errors(2 * inputs_.size());
    stopped_ = !run_children(
        {.unit = "runs", .jobs = arguments_.jobs, .quiet = arguments_.quiet}, errors.size(),
        [&](std::size_t i) {
          return child(base_file_, name_of(i), nudges[i / 2][i % 2].override_text);
        },
        [&](std::size_t i, int code) {
          if (code != kExitOk)
            errors[i] = last_line((folder_ / "runs" / (name_of(i) + ".log")).string());
        });
    if (stopped_) return;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      std::array<Json, 2> sides = {base_, base_};
      for (std::size_t side = 0; side < 2; ++side) {
        if (errors[2 * i + side].empty())
          sides[side] = result(name_of(2 * i + side), "summary.json");
        else
          nudges[i][side].factor = 1;  // out of range: the other side tells
      }
      if (errors[2 * i].empty() || errors[2 * i + 1].empty())
        found_.push_back(slopes_of(inputs_[i], nudges[i], base_, sides[0], sides[1]));
      else
        found_.push_back({inputs_[i], {}, errors[2 * i]});
    }
    std::error_code ignored;
    fs::remove_all(folder_ / "runs", ignored);
  }

  void report() const {
    fmt::print("elasticities, {:g} % either way; {} inputs\n{}", 100 * file_.step, inputs_.size(),
               sensitivity_table(found_));
    write_text_file((folder_ / "sensitivity.csv").string(), sensitivity_csv(found_));
    write_json_file((folder_ / "sensitivity.json").string(), sensitivity_json(found_, file_.step));
    fmt::print("results: {}\n", folder_.string());
  }

  const SensitivityArguments& arguments_;
  fs::path folder_;
  SensitivityFile file_;
  std::string base_file_;
  Json base_;      // summary
  Json resolved_;  // experiment
  Json models_;    // of the provenance
  std::vector<Input> inputs_;
  std::vector<Sensitivity> found_;
  bool stopped_ = false;
};

}  // namespace

int run_sensitivity(const SensitivityArguments& arguments) {
  SensitivityArguments complete = arguments;
  if (complete.folder.empty())
    complete.folder =
        (fs::path("results") / (fs::path(arguments.experiment).stem().string() + "-sensitivity"))
            .string();
  return SensitivityRuns(complete).run();
}

}  // namespace kvsim
