#include "sim/cli/validation_replays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sim/base/errors.hpp"
#include "sim/cli/child_runs.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/distribution_error.hpp"
#include "sim/validate/run_files.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

fs::path folder_of(const ValidationRuns& how, const Replay& replay) {
  return how.folder / "replays" / replay.name;
}

ChildRun prepare(const fs::path& folder, const Replay& replay) {
  write_json_file((folder / "experiment.json").string(), replay.experiment);
  return {{"kvsim", "run", (folder / "experiment.json").string(), "-o", folder.string(),
           "--outputs", "summary,requests", "--quiet"},
          (folder / "log.txt").string()};
}

void print_table(const std::vector<ValidationCase>& cases,
                 const std::vector<ReplayedMetric>& metrics) {
  fmt::print("{:<52}{:>7}{:>10}{:>12}{:>9}{:>9}{:>9}{:>9}{:>7}\n", "replayed", "metric", "requests",
             "Kolmogorov", "p10 %", "p50 %", "p90 %", "p99 %", "rank");
  for (const ReplayedMetric& metric : metrics) {
    if (metric.predicted.empty()) continue;
    const DistributionError e = distribution_error(metric.predicted, metric.measured, true);
    fmt::print("{:<52}{:>7}{:>10}{:>12.3f}", cases[metric.of_case].id(), metric.metric,
               metric.predicted.size(), e.kolmogorov);
    for (const double percent : e.signed_percent) fmt::print("{:>+9.1f}", percent);
    fmt::print("{:>7.2f}\n", e.rank_correlation.value_or(0));
  }
}

}  // namespace

int run_replays(const ValidationRuns& how, const std::vector<Replay>& replays,
                const std::vector<ValidationCase>& cases) {
  std::vector<std::vector<ReplayedMetric>> found(replays.size());
  int exit_code = kExitOk;
  const auto fail = [&](const Replay& replay, const std::string& what) {
    fmt::print(stderr, "{} failed: {}\n", folder_of(how, replay).string(), what);
    exit_code = kExitDifference;
  };
  const auto settle = [&](std::size_t i, int code) {
    const fs::path folder = folder_of(how, replays[i]);
    if (code != kExitOk) return fail(replays[i], last_line((folder / "log.txt").string()));
    try {
      found[i] = compare_replay(replays[i],
                                read_run(folder.string(), replays[i].experiment).front().requests);
    } catch (const std::runtime_error& error) {
      fail(replays[i], error.what());
    }
    std::error_code ignored;
    if (!how.keep) fs::remove(folder / "requests.csv", ignored);
  };
  const bool finished = run_children(
      {.unit = "replays", .jobs = how.jobs, .quiet = how.quiet}, replays.size(),
      [&](std::size_t i) { return prepare(folder_of(how, replays[i]), replays[i]); }, settle);
  std::vector<ReplayedMetric> metrics;
  for (std::vector<ReplayedMetric>& of_one : found)
    std::move(of_one.begin(), of_one.end(), std::back_inserter(metrics));
  write_distributions(how.folder, cases, metrics);
  print_table(cases, metrics);
  constexpr int kInterrupted = 130;
  return finished ? exit_code : kInterrupted;
}

}  // namespace kvsim
