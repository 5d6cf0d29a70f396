#include "sim/cli/variants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/child_processes.hpp"
#include "sim/cli/terminal_progress.hpp"
#include "sim/report/output_file.hpp"
#include "sim/report/variant_table.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

std::string log_of(const VariantRuns& runs, const Variant& variant) {
  return (runs.folder / (variant.folder() + ".log")).string();
}

std::string summary_of(const Variant& variant) { return variant.folder() + "/summary.json"; }

std::vector<std::string> command_of(const VariantRuns& runs, const Variant& variant) {
  std::vector<std::string> out = {"kvsim", "run", runs.experiment, "--variant", variant.name};
  out.insert(out.end(), runs.arguments.begin(), runs.arguments.end());
  out.insert(out.end(), {"--outputs", runs.outputs, "--quiet"});
  out.insert(out.end(), {"-o", (runs.folder / variant.folder()).string()});
  return out;
}

std::string last_line(const std::string& file) {
  std::ifstream in(file);
  std::string last = "no message";
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
}

class Comparison {
 public:
  Comparison(const VariantRuns& runs, const std::vector<Variant>& variants)
      : runs_(runs),
        variants_(variants),
        jobs_(runs.jobs > 0 ? runs.jobs : std::max(1U, std::thread::hardware_concurrency())) {
    for (const Variant& variant : variants)
      results_.push_back({variant.name, variant.set, summary_of(variant), {}, "did not run"});
  }

  // False: a signal asked to stop.
  bool run() {
    Progress progress =
        terminal_progress("variants", static_cast<std::int64_t>(variants_.size()), runs_.quiet);
    ChildProcesses children;
    std::size_t next = 0;
    std::int64_t done = 0;
    while (children.running() > 0 || (next < variants_.size() && !children.interrupted())) {
      for (; next < variants_.size() && children.running() < jobs_ && !children.interrupted();
           ++next)
        start(children, next);
      constexpr double kPatience_s = 0.2;
      for (const ChildProcesses::Ended& ended : children.wait(kPatience_s)) {
        settle(ended.tag, ended.exit_code);
        progress.update(++done);
      }
    }
    progress.finish(done);
    return !children.interrupted();
  }

  [[nodiscard]] int exit_code() const { return exit_code_; }

  [[nodiscard]] const std::vector<VariantResult>& results() const { return results_; }

 private:
  void start(ChildProcesses& children, std::size_t index) {
    const Variant& variant = variants_[index];
    std::error_code ignored;
    fs::remove(runs_.folder / summary_of(variant), ignored);  // of an earlier run
    children.start(index, command_of(runs_, variant), log_of(runs_, variant));
  }

  void settle(std::size_t index, int exit_code) {
    VariantResult& result = results_[index];
    const std::string log = log_of(runs_, variants_[index]);
    if (exit_code == kExitOk) {
      result.run = load_json((runs_.folder / result.summary).string());
      result.error.clear();
    } else {
      result.error = last_line(log);
      exit_code_ = std::max(exit_code_, exit_code);
      return;
    }
    std::error_code ignored;
    if (fs::file_size(log, ignored) == 0) fs::remove(log, ignored);
  }

  const VariantRuns& runs_;
  const std::vector<Variant>& variants_;
  std::size_t jobs_;
  std::vector<VariantResult> results_;
  int exit_code_ = kExitOk;
};

}  // namespace

int run_variants(const VariantRuns& runs, const std::vector<Variant>& variants) {
  std::error_code error;
  fs::create_directories(runs.folder, error);
  if (error)
    throw EnvironmentError(
        fmt::format("{}: cannot make the folder: {}", runs.folder.string(), error.message()));
  Comparison comparison(runs, variants);
  constexpr int kInterrupted = 130;
  if (!comparison.run()) return kInterrupted;
  const auto& results = comparison.results();
  write_text_file((runs.folder / "variants.csv").string(), variant_csv(results));
  write_json_file((runs.folder / "variants.json").string(), variant_json(runs.name, results));
  fmt::print("{}results: {}\n", variant_table(results), runs.folder.string());
  return comparison.exit_code();
}

}  // namespace kvsim
