// kvsim run EXPERIMENT.json [--set /path=value]... [--variant NAME] [-o DIR] [--outputs LIST]
//           [--what-if] [-j N]
//
// An experiment with variants, and none of them named, runs them all and compares them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/cli/terminal_progress.hpp"
#include "sim/cli/variants.hpp"
#include "sim/cli/what_if.hpp"
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
  std::string variant;
  std::size_t jobs = 0;
  std::string folder;
  std::vector<std::string> outputs = {"summary", "requests"};
  bool quiet = false;
  bool what_if = false;
  std::vector<std::string> live;
  bool shadow = false;
};

std::atomic<int> interrupted{0};  // the signal
void on_interrupt(int signal) { interrupted = signal; }

void check_outputs(const std::vector<std::string>& outputs) {
  static const std::vector<std::string> known = {"summary", "requests", "result", "kvmap"};
  for (const std::string& output : outputs)
    if (std::find(known.begin(), known.end(), output) == known.end())
      throw ConfigError(
          fmt::format("--outputs: found \"{}\"; allowed: {}", output, join_names(known)));
}

bool wants(const RunArguments& arguments, const char* output) {
  const auto& outputs = arguments.outputs;
  return std::find(outputs.begin(), outputs.end(), output) != outputs.end();
}

std::string folder_of(const RunArguments& arguments, const Simulation& simulation) {
  if (!arguments.folder.empty()) return arguments.folder;
  const std::string name =
      simulation.name().empty() ? fs::path(arguments.file).stem().string() : simulation.name();
  const fs::path folder = fs::path("results") / name;
  if (arguments.variant.empty()) return folder.string();
  return (folder / Variant{arguments.variant}.folder()).string();
}

std::vector<std::unique_ptr<RequestSink>> open_sinks(const RunArguments& arguments,
                                                     const Simulation& simulation,
                                                     const fs::path& folder) {
  std::vector<std::unique_ptr<RequestSink>> sinks;
  if (wants(arguments, "requests"))
    sinks.push_back(std::make_unique<RequestsCsv>((folder / "requests.csv").string(),
                                                  simulation.tiers(), simulation.fetch_stages()));
  if (wants(arguments, "result"))
    sinks.push_back(std::make_unique<ResultPb>((folder / "result.pb").string(),
                                               simulation.provenance(), simulation.tiers(),
                                               simulation.resolved(), simulation.fetch_stages()));
  return sinks;
}

// Beside the results; a run that was cut off is compared with nothing.
void explore_what_ifs(const RunArguments& arguments, const Simulation& simulation,
                      const fs::path& folder, Json& summary) {
  if (!arguments.what_if || summary.contains("incomplete")) return;
  const WhatIfRuns runs{arguments.file, arguments.variant, arguments.overrides, folder / "what-if",
                        arguments.quiet};
  add_what_if(run_what_ifs(runs, what_ifs(simulation.resolved(), summary), summary), summary);
}

// What each variant's process is told beside its name.
std::vector<std::string> handed_on(const RunArguments& arguments) {
  std::vector<std::string> out;
  for (const std::string& text : arguments.overrides) out.insert(out.end(), {"--set", text});
  for (const std::string& lane : arguments.live) out.insert(out.end(), {"--live", lane});
  if (arguments.shadow) out.emplace_back("--shadow");
  if (arguments.what_if) out.emplace_back("--what-if");
  return out;
}

int compare_variants(const RunArguments& arguments, const std::vector<Variant>& variants) {
  const Json base = load_experiment(arguments.file, arguments.overrides);
  const ConfigNode node(base, arguments.file);
  VariantRuns runs{.experiment = arguments.file,
                   .name = node.has("name") ? node.at("name").text() : "",
                   .arguments = handed_on(arguments),
                   .outputs = fmt::format("{}", fmt::join(arguments.outputs, ",")),
                   .folder = arguments.folder,
                   .jobs = arguments.jobs,
                   .quiet = arguments.quiet};
  if (!wants(arguments, "summary")) runs.outputs += ",summary";
  if (runs.name.empty()) runs.name = fs::path(arguments.file).stem().string();
  if (arguments.folder.empty()) runs.folder = fs::path("results") / runs.name;
  return run_variants(runs, variants);
}

void run_command(const RunArguments& arguments) {
  check_outputs(arguments.outputs);
  if (arguments.variant.empty()) {
    const Json file = load_json(arguments.file);
    const auto variants = read_variants(ConfigNode(file, arguments.file));
    if (!variants.empty()) {
      const int code = compare_variants(arguments, variants);
      if (code != kExitOk) throw CLI::RuntimeError(code);
      return;
    }
  }
  Json json = load_experiment(arguments.file, arguments.overrides, arguments.variant);
  for (const std::string& lane : arguments.live) json["live"].push_back({{"kind", lane}});
  if (arguments.shadow) json["shadow"] = true;
  const auto simulation_pointer = std::make_unique<Simulation>(ConfigNode(json, arguments.file));
  Simulation& simulation = *simulation_pointer;
  const fs::path folder = folder_of(arguments, simulation);
  std::signal(SIGINT, on_interrupt);  // from here on there are files to finish
  std::signal(SIGTERM, on_interrupt);
  // All files are opened before the run: a folder that cannot be written to is told at once.
  const auto sinks = open_sinks(arguments, simulation, folder);
  std::optional<OutputFile> summary_file;
  if (wants(arguments, "summary")) summary_file.emplace((folder / "summary.json").string());
  for (const auto& sink : sinks) simulation.add_sink(*sink);
  if (wants(arguments, "kvmap")) simulation.map_kv(folder.string());

  Progress progress = terminal_progress("requests", simulation.total_requests(), arguments.quiet);
  simulation.set_watch([&](std::int64_t ended) {
    progress.update(ended);
    return interrupted != 0;
  });
  const auto began = std::chrono::steady_clock::now();
  simulation.run();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  Json summary = simulation.summary();
  progress.finish(summary["requests"]["arrived"].get<std::int64_t>());
  explore_what_ifs(arguments, simulation, folder, summary);

  for (const auto& sink : sinks) sink->close(summary);
  if (summary_file) {
    summary_file->write(summary.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    summary_file->commit();
    write_json_file((folder / "run.json").string(),  // wall time stays out of results
                    {{"wall_s", wall.count()}, {"experiment", simulation.resolved()}});
  }
  if (!arguments.quiet) {
    fmt::print("{}\nresults: {}\n", summary_table(summary), folder.string());
  }
  if (summary.contains("incomplete")) throw CLI::RuntimeError(128 + interrupted);
}

}  // namespace

void add_run_command(CLI::App& app) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand("run", "Runs one experiment.");
  command->add_option("experiment", arguments->file, "Experiment file (JSON).")->required();
  command->add_option("--set", arguments->overrides, "Override: /json/pointer=value.")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--variant", arguments->variant, "Only this variant of the experiment's.");
  command->add_option("-j,--jobs", arguments->jobs, "Variants at a time. Default: all cores.");
  command->add_option("-o,--output", arguments->folder, "Folder for results; results/<name>.");
  command
      ->add_option("--outputs", arguments->outputs,
                   "What to write: summary, requests, result, kvmap.")
      ->delimiter(',');
  command->add_flag("--what-if", arguments->what_if,
                    "Run it again with each kind of resource free: what limits it.");
  command
      ->add_option("--live", arguments->live,
                   "Lanes whose operations are done for real: rocksdb, resp, codec, host_copy, "
                   "cuda_copy; files go to the temporary folder.")
      ->delimiter(',');
  command->add_flag("--shadow", arguments->shadow,
                    "The model tells the time; how far it is from the real lanes is reported.");
  command->add_flag("-q,--quiet", arguments->quiet, "No progress and no table.");
  command->callback([arguments] { run_command(*arguments); });
}

}  // namespace kvsim
