// kvsim sweep SWEEP.json [-j N] [--shard I/N] [-o DIR] [--merge DIR...]
//
// Each point is a process of its own (SimGrid allows one simulation per process), which runs
// `kvsim run EXPERIMENT --set ... -o DIR/point-NNNN --quiet`. A finished point leaves point.json
// beside its summary: the experiment and the overrides that it was made from. A point whose
// point.json still says the same is not run again. Files that the experiment names (traces,
// profiles) are not looked into: remove a point's folder to run it again.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/cli/child_runs.hpp"
#include "sim/cli/commands.hpp"
#include "sim/report/output_file.hpp"
#include "sim/report/sweep_plan.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct SweepArguments {
  std::string file;
  std::string output;
  std::string shard;
  std::size_t jobs = 0;  // 0 = all cores
  std::vector<std::string> merge;
  bool quiet = false;
};

struct Sweep {
  SweepPlan plan;
  Json experiment;
};

Json identity(const Sweep& sweep, const SweepPoint& point) {
  return {{"schema", "kvsim.point/1"},
          {"experiment", sweep.experiment},
          {"overrides", point.overrides}};
}

std::optional<Json> read_if_json(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

// The summary in a point's folder, if it is one of a run that came to its end.
std::optional<Json> complete_summary(const fs::path& folder) {
  std::optional<Json> summary = read_if_json(folder / "summary.json");
  if (!summary || !summary->is_object() || summary->value("incomplete", false)) return std::nullopt;
  return summary;
}

// The summary of a point that was made from the same input, in the first folder that has one.
std::optional<Json> finished_summary(const Sweep& sweep, const SweepPoint& point,
                                     const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    const fs::path place = fs::path(folder) / point.name();
    if (read_if_json(place / "point.json") != identity(sweep, point)) continue;
    if (auto summary = complete_summary(place)) return summary;
  }
  return std::nullopt;
}

std::vector<std::string> command_of(const Sweep& sweep, const SweepPoint& point,
                                    const fs::path& folder) {
  std::vector<std::string> out = {"kvsim", "run", sweep.plan.experiment};
  for (const auto& item : point.overrides.items()) {
    out.emplace_back("--set");
    out.push_back(item.key() + "=" + item.value().dump());
  }
  out.insert(out.end(), {"-o", folder.string(), "--quiet"});
  return out;
}

// Runs points a few at a time; returns the exit code of the sweep.
class SweepRun {
 public:
  SweepRun(const Sweep& sweep, const SweepArguments& arguments, const std::vector<SweepPoint>& todo)
      : sweep_(sweep), arguments_(arguments), output_(arguments.output), todo_(todo) {}

  int run() {
    const bool whole = run_children(
        {.unit = "points", .jobs = arguments_.jobs, .quiet = arguments_.quiet}, todo_.size(),
        [this](std::size_t i) { return prepare(todo_[i]); },
        [this](std::size_t i, int exit_code) { settle(todo_[i], exit_code); });
    if (whole) return exit_code_;
    fmt::print(stderr, "interrupted with {} of {} points done; run again to go on\n",
               done_ - failed_, todo_.size());
    return std::max(exit_code_, kExitDifference);
  }

 private:
  [[nodiscard]] ChildRun prepare(const SweepPoint& point) const {
    const fs::path folder = output_ / point.name();
    // What an earlier run left there may belong to other overrides.
    std::error_code ignored;
    fs::remove(folder / "point.json", ignored);
    fs::remove(folder / "summary.json", ignored);
    return {command_of(sweep_, point, folder), log_of(point).string()};
  }

  void settle(const SweepPoint& point, int exit_code) {
    ++done_;
    const fs::path folder = output_ / point.name();
    if (exit_code == kExitOk && complete_summary(folder)) {
      write_json_file((folder / "point.json").string(), identity(sweep_, point));
      std::error_code ignored;
      fs::remove(log_of(point), ignored);
      return;
    }
    ++failed_;
    exit_code_ = std::max(exit_code_, exit_code == kExitUser ? kExitUser : kExitDifference);
    fmt::print(stderr, "{} failed with exit code {}: {} (log: {})\n", point.name(), exit_code,
               last_line(log_of(point).string()), log_of(point).string());
  }

  [[nodiscard]] fs::path log_of(const SweepPoint& point) const {
    return output_ / (point.name() + ".log");
  }

  const Sweep& sweep_;
  const SweepArguments& arguments_;
  fs::path output_;
  const std::vector<SweepPoint>& todo_;
  std::int64_t done_ = 0;
  std::int64_t failed_ = 0;
  int exit_code_ = kExitOk;
};

// Writes the table of the points in `wanted` that are finished; returns how many are not.
std::size_t tabulate(const Sweep& sweep, const std::vector<SweepPoint>& wanted,
                     const std::vector<std::string>& folders, const std::string& table) {
  std::vector<SweepResult> results;
  for (const SweepPoint& point : wanted) {
    if (auto summary = finished_summary(sweep, point, folders))
      results.push_back({&point, std::move(*summary)});
  }
  write_text_file(table, sweep_csv(sweep.plan, results));
  fmt::print("{} of {} points: {}\n", results.size(), wanted.size(), table);
  return wanted.size() - results.size();
}

int run_sweep(SweepArguments arguments) {
  const Json json = load_json(arguments.file);
  Sweep sweep{read_sweep(ConfigNode(json, arguments.file)), Json()};
  sweep.experiment = load_json(sweep.plan.experiment);
  for (const char* key : {"variants", "variants_of"})
    if (sweep.experiment.contains(key))
      throw ConfigError(
          fmt::format("{}: found \"{}\"; allowed: one run a point", sweep.plan.experiment, key));
  if (arguments.output.empty())
    arguments.output = (fs::path("results") / fs::path(arguments.file).stem()).string();
  const fs::path output = arguments.output;
  if (!arguments.merge.empty()) {
    const std::string table = (output / "sweep.csv").string();
    return tabulate(sweep, sweep.plan.points, arguments.merge, table) == 0 ? kExitOk
                                                                           : kExitDifference;
  }
  const Shard shard = read_shard(arguments.shard, [](const char* name) {
    return static_cast<const char*>(std::getenv(name));
  });
  std::vector<SweepPoint> mine;
  std::vector<SweepPoint> todo;
  for (const SweepPoint& point : sweep.plan.points) {
    if (!shard.has(point)) continue;
    mine.push_back(point);
    if (!finished_summary(sweep, point, {arguments.output})) todo.push_back(point);
  }
  std::error_code error;
  fs::create_directories(output, error);
  if (error)
    throw EnvironmentError(
        fmt::format("{}: cannot make the folder: {}", arguments.output, error.message()));
  if (todo.size() < mine.size() && !arguments.quiet)
    fmt::print(stderr, "{} of {} points are there already\n", mine.size() - todo.size(),
               mine.size());
  const int code = SweepRun(sweep, arguments, todo).run();
  // Shards may share a folder, so each has a table of its own.
  const std::string table = shard.count == 1
                                ? "sweep.csv"
                                : fmt::format("sweep-{}-of-{}.csv", shard.index + 1, shard.count);
  tabulate(sweep, mine, {arguments.output}, (output / table).string());
  return code;
}

}  // namespace

void add_sweep_command(CLI::App& app) {
  auto arguments = std::make_shared<SweepArguments>();
  CLI::App* command =
      app.add_subcommand("sweep", "Run a grid or list of overrides of an experiment");
  command->add_option("sweep", arguments->file, "SWEEP.json")->required();
  command->add_option("-j,--jobs", arguments->jobs, "Points at a time; default: all cores");
  command->add_option("--shard", arguments->shard,
                      "I/N: every N-th point from the I-th; N: I from Slurm or Kubernetes");
  command->add_option("-o,--output", arguments->output, "Folder; default: results/<sweep>");
  command->add_option("--merge", arguments->merge,
                      "Run nothing: tabulate the points that lie in these folders");
  command->add_flag("--quiet", arguments->quiet, "No progress");
  command->callback([arguments] {
    const int code = run_sweep(*arguments);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace kvsim
