// kvsim fit: coefficients of the fitted step time from operator timings, and the shipped ones
// rebuilt from calibration tables.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/calibrate/gpu_fit.hpp"
#include "sim/calibrate/gpu_fit_file.hpp"
#include "sim/calibrate/gpu_fit_recipes.hpp"
#include "sim/cli/commands.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/report/output_file.hpp"

namespace kvsim {

namespace {

constexpr double kDriftShare = 0.005;

struct FitFlags {
  std::vector<std::string> operators;
  std::string gpu;
  std::string out;
  std::string source;
  std::string rebuild;
  std::string leave_one_out;
  bool check = false;
  int resamples = 40;
  std::uint64_t seed = 1;
};

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string interval(const FitCoefficient& c) {
  return c.low == c.high ? "" : fmt::format("  {:.4g} to {:.4g}", c.low, c.high);
}

void print_report(const FitReport& report) {
  const FitError& held = report.held_out;
  fmt::print("{}{}\n  {} rows of {} shapes: mean {}, p90 {}, bias {:+.1f} %\n", report.block,
             report.rows_of.empty() ? "" : fmt::format(" ({})", report.rows_of),
             report.training.rows, report.groups, percent(report.training.mean),
             percent(report.training.p90), 100 * report.training.bias);
  if (held.rows > 0)
    fmt::print("  {} rows held out:  mean {}, p90 {}, bias {:+.1f} %\n", held.rows,
               percent(held.mean), percent(held.p90), 100 * held.bias);
  for (const FitCoefficient& c : report.coefficients)
    fmt::print("    {:<30}{:>11.4g}{}\n", c.name, c.value, interval(c));
}

void print_link(const FitReport& report) {
  fmt::print("{}: {} copies\n", report.block, report.training.rows);
  for (const FitCoefficient& c : report.coefficients)
    fmt::print("    {:<30}{:>11.4g}\n", c.name, c.value);
}

// The source as given, with the error that belongs to it.
Provenance provenance_of(const FitFlags& flags, const GpuFit& fit, const std::string& block,
                         const Json& base) {
  if (block == "host_link") return {flags.source, "measured"};
  std::string errors;
  std::size_t parts = 0;
  for (const FitReport& report : fit.reports) {
    if (report.block != block && !report.block.starts_with(block + " of ")) continue;
    ++parts;
    errors += fmt::format("{}{} over {} rows", errors.empty() ? "" : ", ",
                          percent(report.training.mean), report.training.rows);
    if (report.held_out.rows > 0)
      errors += fmt::format(" ({} held out)", percent(report.held_out.mean));
  }
  std::string source = fmt::format("{}; kvsim fit, mean error {}", flags.source, errors);
  if (block.starts_with("attention_") && parts < 2)
    source += fmt::format("; one of decode and prefill only, the other: {}",
                          base.value("provenance", Json::object()).value("source", ""));
  return {source, "fitted"};
}

void write_profile(const FitFlags& flags, const GpuFit& fit) {
  Json file = load_json(find_model("gpu", flags.gpu));
  file["name"] = std::filesystem::path(flags.out).stem().string();
  file["aliases"] = Json::array();
  std::vector<std::string> blocks = fitted_blocks();
  blocks.emplace_back("host_link");
  for (const std::string& block : blocks) {
    const bool given = std::any_of(fit.reports.begin(), fit.reports.end(), [&](const auto& r) {
      return r.block == block || r.block.starts_with(block + " of ");
    });
    if (!given) continue;
    const Provenance provenance =
        provenance_of(flags, fit, block, file.value(block, Json::object()));
    set_block(file, block, block_coefficients(fit.profile, block), &provenance);
  }
  const ConfigNode node(file, flags.out);
  read_config<GpuProfile>(node).check(node);  // fails here rather than at its first use
  write_text_file(flags.out, profile_text(file));
  fmt::print("{} written\n", flags.out);
}

void run_fit(const FitFlags& flags) {
  OperatorTable table;
  for (const std::string& path : flags.operators) read_operators(path, table);
  if (table.empty())
    throw ConfigError(fmt::format(
        "operator timings: found none in {}; allowed: CSV tables or samples of the GPU probe",
        join_names(flags.operators)));
  FitOptions options;
  options.resamples = flags.resamples;
  options.seed = flags.seed;
  const GpuFit fit = fit_gpu(table, load_gpu(flags.gpu), options);
  for (const FitReport& report : fit.reports)
    report.block == "host_link" ? print_link(report) : print_report(report);
  for (const std::string& reason : fit.left) fmt::print(stderr, "not fitted: {}\n", reason);
  for (const std::string& reason : table.skipped) fmt::print(stderr, "not used: {}\n", reason);
  if (fit.reports.empty())
    throw ConfigError(
        "operator timings: found too few usable rows for any block; allowed: see above");
  if (!flags.out.empty()) write_profile(flags, fit);
}

void run_rebuild(const FitFlags& flags) {
  FitOptions options;
  options.seed = flags.seed;
  if (flags.check) options.held_out_share = 0;
  std::size_t drifts = 0, files = 0;
  for (const RebuiltGpu& gpu : rebuild_gpu_profiles(flags.rebuild, options, kDriftShare)) {
    ++files;
    for (const Drift& drift : gpu.drifts)
      fmt::print("{} {}: {:.5g} in the file, {:.5g} rebuilt\n", gpu.name, drift.path, drift.in_file,
                 drift.rebuilt);
    drifts += gpu.drifts.size();
    if (flags.check) continue;
    for (const FitReport& report : gpu.reports)
      fmt::print("{:<14}{:<18}{:>6} rows  mean {:>6}, held out {:>6}\n", gpu.name, report.block,
                 report.training.rows, percent(report.training.mean),
                 report.held_out.rows > 0 ? percent(report.held_out.mean) : "-");
    write_text_file(gpu.path, profile_text(gpu.file));
  }
  fmt::print("{} profiles {}, {} coefficients off by more than {:g} %\n", files,
             flags.check ? "checked" : "rebuilt", drifts, 100 * kDriftShare);
  if (flags.check && drifts > 0) throw CLI::RuntimeError(kExitDifference);
}

void print_transfer(const char* name, const std::vector<const StepErrors*>& columns) {
  fmt::print("{:<14}", name);
  for (const StepErrors* errors : columns)
    fmt::print("{:>8.1f} /{:>5.1f} {:>8.1f} /{:>5.1f}", 100 * errors->decode.mean,
               100 * errors->decode.p90, 100 * errors->prefill.mean, 100 * errors->prefill.p90);
  fmt::print("\n");
}

void run_leave_one_out(const FitFlags& flags) {
  FitOptions options;
  options.held_out_share = 0;
  fmt::print("step error against composed steps, mean / p90 in percent\n");
  fmt::print("{:<14}{:^31}{:^31}{:^31}{:^31}\n", "", "own tables", "mean of all others",
             "relatives", "relatives and matrix rate");
  fmt::print("{:<14}", "");
  for (int i = 0; i < 4; ++i) fmt::print("{:>15}{:>16}", "decode", "prefill");
  fmt::print("\n");
  const auto errors = leave_one_out(flags.leave_one_out, options);
  for (const TransferErrors& row : errors)
    print_transfer(row.name.c_str(), {&row.own, &row.others, &row.relatives, &row.measured});
}

void run(const FitFlags& flags) {
  if (!flags.rebuild.empty()) return run_rebuild(flags);
  if (!flags.leave_one_out.empty()) return run_leave_one_out(flags);
  if (flags.operators.empty())
    throw ConfigError(
        "kvsim fit: found no operator timings; allowed: files or folders of them, or --rebuild or "
        "--leave-one-out with a calibration folder");
  if (flags.gpu.empty())
    throw ConfigError(fmt::format(
        "kvsim fit: found no --gpu, whose datasheet the fit needs; allowed: {}, or a .json file",
        join_names(model_names("gpu"))));
  if (!flags.out.empty() && flags.source.empty())
    throw ConfigError(
        "kvsim fit: found --out without --source; allowed: --source with what was measured, on "
        "which machine and when");
  run_fit(flags);
}

}  // namespace

void add_fit_command(CLI::App& app) {
  const auto flags = std::make_shared<FitFlags>();
  CLI::App* command =
      app.add_subcommand("fit", "Fits a GPU's step-time coefficients to operator timings");
  command->add_option("ops", flags->operators, "CSV tables, probe samples, or folders of them");
  command->add_option("--gpu", flags->gpu, "Profile whose datasheet and other blocks are kept");
  command->add_option("-o,--out", flags->out, "GPU profile to write");
  command->add_option("--source", flags->source, "What was measured, where and when");
  command->add_option("--resamples", flags->resamples, "Fits behind the intervals; 0 = none")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Of what is held out and resampled")
      ->capture_default_str();
  auto* rebuild = command->add_option(
      "--rebuild", flags->rebuild, "Calibration folder: rewrites the fitted blocks of models/gpu");
  command->add_flag("--check", flags->check, "With --rebuild: writes nothing, tells drift (exit 1)")
      ->needs(rebuild);
  command
      ->add_option("--leave-one-out", flags->leave_one_out,
                   "Calibration folder: step error of a GPU that borrows its coefficients")
      ->excludes(rebuild);
  command->callback([flags] { run(*flags); });
}

}  // namespace kvsim
