// kvsim calibrate [--quick|--full] [--only LANES] [--path DIR] [--store URL] --out PROFILE.json
#include "sim/calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/calibrate/gpu_calibration.hpp"
#include "sim/cli/commands.hpp"
#include "sim/cli/terminal_progress.hpp"
#include "sim/probe/bench_network_peer.hpp"
#include "sim/probe/scratch.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct CalibrateArguments {
  std::string out;
  bool quick = false;
  bool full = false;
  std::vector<std::string> only;
  std::string path = fs::temp_directory_path().string();
  std::string store;
  std::string peer;
  int serve_network = 0;
  std::string data_file;
  std::string gpu;
  bool quiet = false;
};

// What users call a part, and the lane that measures it. In the order of dependency.
struct Part {
  const char* name;
  const char* lane;
};
constexpr Part kParts[] = {{"memory", "host_copy"}, {"disk", "disk"}, {"network", "network"},
                           {"codec", "codec"},      {"resp", "resp"}, {"rocksdb", "rocksdb"},
                           {"gpu", nullptr}};

std::vector<std::string> part_names() {
  std::vector<std::string> out;
  for (const Part& part : kParts) out.emplace_back(part.name);
  return out;
}

Json bench_of(const CalibrateArguments& arguments, const std::string& lane) {
  Json bench = {{"kind", lane}};
  if (lane == "resp" && !arguments.store.empty()) bench["url"] = arguments.store;
  if (lane == "network_peer") bench["peer"] = arguments.peer;
  if (lane == "codec" && !arguments.data_file.empty())
    bench["file"] = fs::absolute(arguments.data_file).string();
  return bench;
}

bool wants(const CalibrateArguments& arguments, const std::string& part) {
  const auto& only = arguments.only;
  return only.empty() || std::find(only.begin(), only.end(), part) != only.end();
}

CalibrationPlan plan_of(const CalibrateArguments& arguments) {
  if (arguments.quick && arguments.full)
    throw ConfigError("calibrate: found --quick and --full; allowed: one of them");
  const std::vector<std::string> names = part_names();
  for (const std::string& name : arguments.only)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw ConfigError(fmt::format("--only: found \"{}\"; allowed: {}", name, join_names(names)));
  CalibrationPlan plan;
  plan.full = arguments.full;
  plan.folder = arguments.path;
  constexpr Seconds kQuickLane{11};
  constexpr Seconds kFullLane{180};
  plan.lane_time = plan.full ? kFullLane : kQuickLane;
  for (const Part& part : kParts)
    if (part.lane != nullptr && wants(arguments, part.name))
      plan.lanes.push_back({part.lane, bench_of(arguments, part.lane)});
  if (!arguments.peer.empty())
    plan.lanes.push_back({"network_peer", bench_of(arguments, "network_peer")});
  return plan;
}

// The folder that the profile appears in.
std::string folder_of(const std::string& file) {
  const fs::path parent = fs::path(file).parent_path();
  return parent.empty() ? "." : parent.string();
}

// Written in a folder that goes with the process, and moved: there is a whole file or none.
void write_whole(const std::string& file, const Json& json) {
  const Scratch scratch(folder_of(file), Bytes(0));
  const std::string partial = scratch.path() + "/profile.json";
  std::ofstream stream(partial);
  stream << json.dump(1) << '\n';
  stream.close();
  if (!stream || std::rename(partial.c_str(), file.c_str()) != 0)
    throw EnvironmentError(fmt::format("{}: cannot write: {}", file, std::strerror(errno)));
}

std::string percent(double share) { return fmt::format("{:.1f} %", share * 100); }

void print(const Calibration& calibration) {
  for (const LaneResult& lane : calibration.lanes) {
    const ModelError error = model_error(lane);
    const auto noisy = std::count_if(lane.samples.begin(), lane.samples.end(),
                                     [](const Sample& sample) { return sample.noisy; });
    fmt::print("{}: {} samples ({} noisy); the model is off by {} (median), {} (p90), bias {}\n",
               lane.name, lane.samples.size(), noisy, percent(error.median), percent(error.p90),
               percent(error.bias));
    for (const FittedFigure& figure : lane.figures)
      fmt::print("  {:<52} {:>12.4g}   {:.4g} to {:.4g}\n", figure.path, figure.value, figure.low,
                 figure.high);
  }
}

void measure_lanes(const CalibrateArguments& arguments, const CalibrationPlan& plan,
                   Calibration& calibration) {
  std::optional<Progress> progress;
  calibration = calibrate(plan, [&](std::int64_t done, std::int64_t total) {
    if (!progress) progress.emplace(terminal_progress("measurements", total, arguments.quiet));
    progress->update(done);
    if (done == total) progress->finish(done);
  });
}

// Without a GPU the rest goes on, unless only the GPU was asked for.
void measure_gpu(const CalibrateArguments& arguments, const std::string& command,
                 Calibration& calibration) {
  if (!wants(arguments, "gpu")) return;
  GpuCalibrationPlan plan{arguments.path, arguments.gpu,
                          fmt::format("{}, {}", command, calibration.identity["date"].dump()),
                          arguments.full};
  std::optional<Progress> progress;
  const auto said = [&](const std::string& line) {
    std::int64_t done = 0;
    std::int64_t total = 0;
    if (std::sscanf(line.c_str(), "progress %ld/%ld", &done, &total) != 2) return;
    if (!progress) progress.emplace(terminal_progress("measurements", total, arguments.quiet));
    progress->update(done);
    if (done == total) progress->finish(done);
  };
  try {
    GpuCalibration gpu = calibrate_gpu(plan, said);
    const std::string name = gpu.profile["name"].get<std::string>();
    calibration.identity["gpu"] = std::move(gpu.identity);
    calibration.figures["gpus"][name] = std::move(gpu.profile);
    if (!arguments.quiet) fmt::print("gpu: {} blocks of {} fitted\n", gpu.fit.reports.size(), name);
  } catch (const EnvironmentError& error) {
    if (!arguments.only.empty()) throw;
    fmt::print(stderr, "gpu: not measured: {}\n", error.what());
  }
}

// As it can be repeated: without paths and addresses.
std::string command_line(const CalibrateArguments& arguments, const CalibrationPlan& plan) {
  const std::string only = fmt::format("{}", fmt::join(arguments.only, ","));
  return fmt::format("kvsim calibrate {}{}{}", plan.full ? "--full" : "--quick",
                     only.empty() ? "" : " --only ", only);
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

void calibrate_command(const CalibrateArguments& arguments) {
  if (arguments.serve_network > 0) {
    NetworkPeer peer("0.0.0.0", arguments.serve_network);
    fmt::print(stderr, "kvsim: answering on port {}; Ctrl-C ends it\n", peer.port());
    peer.serve();
    return;
  }
  if (arguments.out.empty()) throw ConfigError("calibrate: no --out; allowed: a file to write");
  const CalibrationPlan plan = plan_of(arguments);
  if (fs::is_directory(arguments.out))
    throw ConfigError(fmt::format("--out: found the folder {}; allowed: a file", arguments.out));
  { const Scratch writable(folder_of(arguments.out), Bytes(0)); }
  Calibration calibration;
  calibration.identity = machine_identity();
  if (!plan.lanes.empty()) measure_lanes(arguments, plan, calibration);
  const std::string command = command_line(arguments, plan);
  calibration.identity["command"] = command;
  calibration.identity["date"] = today();
  measure_gpu(arguments, command, calibration);
  calibration.name = fs::path(arguments.out).stem().string();
  write_whole(arguments.out, to_json(calibration));
  if (arguments.quiet) return;
  print(calibration);
  fmt::print("profile: {}\n", arguments.out);
}

}  // namespace

void add_calibrate_command(CLI::App& app) {
  auto arguments = std::make_shared<CalibrateArguments>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Measures this machine and fits the models to it.");
  command->add_option("--out", arguments->out, "Profile to write.");
  command->add_flag("--quick", arguments->quick, "About two minutes (the default).");
  command->add_flag("--full", arguments->full, "About twenty minutes: more sizes, longer.");
  command->add_option("--only", arguments->only, "Parts: " + join_names(part_names()) + ".")
      ->delimiter(',');
  command->add_option("--path", arguments->path,
                      "Folder on the disk to measure; what is written there is removed. Default: "
                      "the temporary folder.");
  command->add_option("--store", arguments->store,
                      "redis://[user:password@]host:port of a Redis, Valkey or Kvrocks to measure. "
                      "Default: a redis-server of its own.");
  command->add_option("--gpu", arguments->gpu,
                      "Profile of models/gpu whose datasheet this GPU has. Default: by its name.");
  command->add_option("--serve-network", arguments->serve_network,
                      "Answers another machine's --peer on this port, and measures nothing.");
  command->add_option("--peer", arguments->peer,
                      "host:port of another machine's kvsim calibrate --serve-network.");
  command->add_option("--data", arguments->data_file, "File that codecs are measured on too.");
  command->add_flag("-q,--quiet", arguments->quiet, "No progress and no table.");
  command->callback([arguments] { calibrate_command(*arguments); });
}

}  // namespace kvsim
