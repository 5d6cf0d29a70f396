#include "sim/cli/variants.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/child_runs.hpp"
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

class Comparison {
 public:
  Comparison(const VariantRuns& runs, const std::vector<Variant>& variants)
      : runs_(runs), variants_(variants) {
    for (const Variant& variant : variants)
      results_.push_back({variant.name, variant.set, summary_of(variant), {}, "did not run"});
  }

  // False: a signal asked to stop.
  bool run() {
    return run_children(
        {.unit = "variants", .jobs = runs_.jobs, .quiet = runs_.quiet}, variants_.size(),
        [this](std::size_t i) { return prepare(variants_[i]); },
        [this](std::size_t i, int exit_code) { settle(i, exit_code); });
  }

  [[nodiscard]] int exit_code() const { return exit_code_; }

  [[nodiscard]] const std::vector<VariantResult>& results() const { return results_; }

 private:
  [[nodiscard]] ChildRun prepare(const Variant& variant) const {
    std::error_code ignored;
    fs::remove(runs_.folder / summary_of(variant), ignored);  // of an earlier run
    return {command_of(runs_, variant), log_of(runs_, variant)};
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
