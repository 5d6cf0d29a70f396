// kvsim run EXPERIMENT.json [--set /path=value]... [-o DIR] [--outputs LIST]
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/cli/terminal_progress.hpp"
#include "sim/experiment/simulation.hpp"
#include "sim/report/output_file.hpp"
#include "sim/report/requests_csv.hpp"
#include "sim/report/result_pb.hpp"
#include "sim/report/table.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct RunArguments {
  std::string file;
  std::vector<std::string> overrides;
  std::string folder;
  std::vector<std::string> outputs = {"summary", "requests"};
  bool quiet = false;
};

std::atomic<bool> interrupted{false};
void on_interrupt(int) { interrupted = true; }

void check_outputs(const std::vector<std::string>& outputs) {
  static const std::vector<std::string> known = {"summary", "requests", "result"};
  for (const std::string& output : outputs)
    if (std::find(known.begin(), known.end(), output) == known.end())
      throw ConfigError(fmt::format("--outputs: found \"{}\"; allowed: {}", output,
                                    join_names(known)));
}

std::string folder_of(const RunArguments& arguments, const Simulation& simulation) {
  if (!arguments.folder.empty()) return arguments.folder;
  const std::string name = simulation.name().empty() ? fs::path(arguments.file).stem().string()
                                                     : simulation.name();
  return (fs::path("results") / name).string();
}

std::vector<std::unique_ptr<RequestSink>> open_sinks(const RunArguments& arguments,
                                                     const Simulation& simulation,
                                                     const fs::path& folder) {
  std::vector<std::unique_ptr<RequestSink>> sinks;
  for (const std::string& output : arguments.outputs) {
    if (output == "requests")
      sinks.push_back(std::make_unique<RequestsCsv>((folder / "requests.csv").string(),
                                                    simulation.tiers()));
    if (output == "result")
      sinks.push_back(std::make_unique<ResultPb>((folder / "result.pb").string(),
                                                 simulation.provenance(), simulation.tiers(),
                                                 simulation.resolved()));
  }
  return sinks;
}

void run_command(const RunArguments& arguments) {
  check_outputs(arguments.outputs);
  const Json json = load_experiment(arguments.file, arguments.overrides);
  const auto simulation_pointer = std::make_unique<Simulation>(ConfigNode(json, arguments.file));
  Simulation& simulation = *simulation_pointer;
  const fs::path folder = folder_of(arguments, simulation);
  const auto sinks = open_sinks(arguments, simulation, folder);
  for (const auto& sink : sinks) simulation.add_sink(*sink);

  Progress progress = terminal_progress("requests", simulation.total_requests(), arguments.quiet);
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  simulation.set_watch([&](std::int64_t ended) {
    progress.update(ended);
    return interrupted.load();
  });
  const auto began = std::chrono::steady_clock::now();
  simulation.run();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  const Json summary = simulation.summary();
  progress.finish(summary["requests"]["arrived"].get<std::int64_t>());

  for (const auto& sink : sinks) sink->close(summary);
  for (const std::string& output : arguments.outputs)
    if (output == "summary") {
      write_json_file((folder / "summary.json").string(), summary);
      write_json_file((folder / "run.json").string(),  // wall time stays out of results
                      {{"wall_s", wall.count()}, {"experiment", simulation.resolved()}});
    }
  if (!arguments.quiet) {
    fmt::print("{}\nresults: {}\n", summary_table(summary), folder.string());
  }
  if (interrupted) throw CLI::RuntimeError(128 + SIGINT);
}

}  // namespace

void add_run_command(CLI::App& app) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand("run", "Runs one experiment.");
  command->add_option("experiment", arguments->file, "Experiment file (JSON).")->required();
  command->add_option("--set", arguments->overrides, "Override: /json/pointer=value.")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("-o,--output", arguments->folder, "Folder for results; results/<name>.");
  command->add_option("--outputs", arguments->outputs, "What to write: summary, requests, result.")
      ->delimiter(',');
  command->add_flag("-q,--quiet", arguments->quiet, "No progress and no table.");
  command->callback([arguments] { run_command(*arguments); });
}

}  // namespace kvsim
