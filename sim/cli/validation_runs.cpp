#include "sim/cli/validation_runs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/base/sha256.hpp"
#include "sim/cli/child_runs.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/run_files.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

constexpr const char* kCounted = "kvsim.counted/1";

// Changes when the program or a profile does.
std::string program_identity() {
  const auto time_of = [](const fs::path& file) {
    std::error_code ignored;
    return fs::last_write_time(file, ignored).time_since_epoch().count();
  };
  std::string out = fmt::format("{} {}", time_of("/proc/self/exe"), models_folder());
  std::error_code ignored;
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(models_folder(), ignored))
    if (entry.is_regular_file())
      files.push_back(fmt::format("{} {}", entry.path().string(), time_of(entry.path())));
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) out += "\n" + file;
  return out;
}

Json optional_json(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  return load_json(file.string());
}

std::string without(std::string text, const std::string& part) {
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part))
    text.erase(at, part.size());
  return text;
}

// One run of one process: a whole planned run, or one level of one that restarts.
struct Job {
  std::size_t run;
  std::size_t experiment;
  fs::path folder;
  double expected_s;  // wall time, to begin with the longest
};

struct RunState {
  std::vector<StageOutcome> stages;
  std::size_t open = 0;  // jobs that have not ended
  bool failed = false;
  std::string identity;
};

class Validation {
 public:
  Validation(const ValidationRuns& how, const std::vector<PlannedRun>& runs,
             const std::vector<ValidationCase>& cases,
             const std::vector<std::vector<Prediction>>& wanted)
      : how_(how),
        runs_(runs),
        cases_(cases),
        wanted_(wanted),
        program_(program_identity()),
        states_(runs.size()) {}

  ValidationOutcome run() {
    for (std::size_t i = 0; i < runs_.size(); ++i) open_run(i);
    outcome_.runs = runs_.size();
    if (how_.plan_only) return std::move(outcome_);
    std::stable_sort(jobs_.begin(), jobs_.end(),
                     [](const Job& a, const Job& b) { return a.expected_s > b.expected_s; });
    outcome_.interrupted = !run_children(
        {.unit = "runs", .jobs = how_.jobs, .quiet = how_.quiet}, jobs_.size(),
        [this](std::size_t i) { return prepare(jobs_[i]); },
        [this](std::size_t i, int exit_code) { settle(jobs_[i], exit_code); });
    return std::move(outcome_);
  }

 private:
  [[nodiscard]] fs::path folder_of(std::size_t run) const {
    return how_.folder / "runs" / runs_[run].study / runs_[run].name;
  }

  void open_run(std::size_t index) {
    const PlannedRun& run = runs_[index];
    RunState& state = states_[index];
    state.identity = identity_of(run);
    if (how_.resume && take_over(index)) return;
    std::error_code ignored;
    fs::remove(folder_of(index) / "counted.json", ignored);
    state.stages.resize(run.levels.size());
    const bool restarts = run.experiments.size() > 1;
    for (std::size_t i = 0; i < run.experiments.size(); ++i) {
      if (run.experiments[i].is_null()) continue;
      fs::path folder = folder_of(index);
      if (restarts) folder /= "level-" + run.levels[i];
      const Json earlier = optional_json(folder / "run.json");
      write_json_file((folder / "experiment.json").string(), run.experiments[i]);
      const auto stages = static_cast<double>(restarts ? 1 : run.levels.size());
      // Without an earlier time: unknown ones first, more stages before fewer.
      constexpr double kUnknown_s = 1e6;
      const double expected =
          earlier.is_object() ? earlier.value("wall_s", kUnknown_s) : kUnknown_s + stages;
      jobs_.push_back({index, i, folder, expected});
      ++state.open;
    }
  }

  [[nodiscard]] std::string identity_of(const PlannedRun& run) const {
    Sha256 digest;
    digest.update(program_);
    for (const Json& experiment : run.experiments) digest.update(experiment.dump());
    digest.update(run.counting.requests + run.counting.seconds);
    for (const auto& [name, meaning] : run.counting.metrics)
      digest.update(fmt::format("{} {} {}\n", name, meaning.as, meaning.factor));
    for (const CaseCut& cut : run.cuts) {
      digest.update(
          fmt::format("{} {} {}\n", static_cast<int>(cut.of), cut.stage, cut.peak_level.dump()));
      digest.update(predictions_json(wanted_[cut.of_case], cases_).dump());
    }
    return digest.hex();
  }

  bool take_over(std::size_t index) {
    const Json counted = optional_json(folder_of(index) / "counted.json");
    if (!counted.is_object() || counted.value("schema", "") != kCounted) return false;
    if (counted.value("identity", "") != states_[index].identity) return false;
    for (Prediction& prediction : read_predictions(counted.at("predictions"), cases_))
      outcome_.predictions.push_back(std::move(prediction));
    ++outcome_.taken_over;
    return true;
  }

  [[nodiscard]] static ChildRun prepare(const Job& job) {
    std::error_code ignored;
    for (const char* name : {"summary.json", "requests.csv"})
      fs::remove(job.folder / name, ignored);
    return {{"kvsim", "run", (job.folder / "experiment.json").string(), "-o", job.folder.string(),
             "--outputs", "summary,requests", "--quiet"},
            (job.folder / "log.txt").string()};
  }

  void settle(const Job& job, int exit_code) {
    RunState& state = states_[job.run];
    if (exit_code == kExitOk)
      count(job);
    else
      fail(job, exit_code, last_line((job.folder / "log.txt").string()));
    if (--state.open == 0) close_run(job.run);
  }

  void count(const Job& job) {
    const PlannedRun& run = runs_[job.run];
    RunState& state = states_[job.run];
    try {
      std::vector<StageOutcome> stages =
          read_run(job.folder.string(), run.experiments[job.experiment]);
      stages.erase(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(
                                                        std::min(run.first_stages, stages.size())));
      const std::size_t expected = run.experiments.size() > 1 ? 1 : run.levels.size();
      if (stages.size() != expected)
        throw TraceError(fmt::format("{}/summary.json: found {} counted stages; allowed: {}",
                                     job.folder.string(), stages.size(), expected));
      for (std::size_t i = 0; i < stages.size(); ++i)
        state.stages[job.experiment + i] = std::move(stages[i]);
    } catch (const std::runtime_error& error) {
      fail(job, kExitDifference, error.what());
    }
    std::error_code ignored;
    if (how_.keep) return;
    fs::remove(job.folder / "requests.csv", ignored);
    if (fs::file_size(job.folder / "log.txt", ignored) == 0)
      fs::remove(job.folder / "log.txt", ignored);
  }

  void fail(const Job& job, int exit_code, const std::string& what) {
    states_[job.run].failed = true;
    outcome_.exit_code = std::max(
        outcome_.exit_code, exit_code == kExitEnvironment ? kExitEnvironment : kExitDifference);
    ++failed_jobs_;
    constexpr std::size_t kTold = 10;  // the rest is in the logs
    if (failed_jobs_ <= kTold)
      fmt::print(stderr, "{} failed with exit code {}: {}\n",
                 fs::relative(job.folder, how_.folder / "runs").string(), exit_code,
                 without(what, job.folder.string() + "/"));
    if (failed_jobs_ == kTold) fmt::print(stderr, "further failures are only in log.txt\n");
  }

  void close_run(std::size_t index) {
    const PlannedRun& run = runs_[index];
    RunState& state = states_[index];
    if (state.failed) {
      ++outcome_.failed;
      state.stages.assign(run.levels.size(), {});
    }
    std::vector<Prediction> predictions = predict(run, state.stages, wanted_);
    state.stages = {};  // of hundreds of runs they would fill the memory
    if (!state.failed)
      write_json_file((folder_of(index) / "counted.json").string(),
                      {{"schema", kCounted},
                       {"identity", state.identity},
                       {"predictions", predictions_json(predictions, cases_)}});
    for (Prediction& prediction : predictions)
      outcome_.predictions.push_back(std::move(prediction));
  }

  const ValidationRuns& how_;
  const std::vector<PlannedRun>& runs_;
  const std::vector<ValidationCase>& cases_;
  const std::vector<std::vector<Prediction>>& wanted_;
  std::string program_;
  std::vector<RunState> states_;
  std::vector<Job> jobs_;
  std::size_t failed_jobs_ = 0;
  ValidationOutcome outcome_;
};

}  // namespace

ValidationOutcome run_validation(const ValidationRuns& how, const std::vector<PlannedRun>& runs,
                                 const std::vector<ValidationCase>& cases,
                                 const std::vector<std::vector<Prediction>>& wanted) {
  return Validation(how, runs, cases, wanted).run();
}

}  // namespace kvsim
