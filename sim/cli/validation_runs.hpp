// The simulations of a validation, each a process of its own, counted as they end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/validate/prediction.hpp"
#include "sim/validate/study.hpp"

namespace kvsim {

struct ValidationRuns {
  std::filesystem::path folder;  // runs/<study>/<run> are made in it
  std::size_t jobs = 0;          // 0 = all cores
  bool quiet = false;
  bool keep = false;       // requests.csv, too
  bool resume = false;     // take over what was counted before from the same input
  bool plan_only = false;  // write the experiments, run nothing
};

struct ValidationOutcome {
  std::vector<Prediction> predictions;  // of failed runs without a value
  std::size_t runs = 0;
  std::size_t taken_over = 0;
  std::size_t failed = 0;
  int exit_code = 0;  // the highest that is due
  bool interrupted = false;
};

// Failures are told on standard error and do not stop the others.
[[nodiscard]] ValidationOutcome run_validation(const ValidationRuns& how,
                                               const std::vector<PlannedRun>& runs,
                                               const std::vector<ValidationCase>& cases,
                                               const std::vector<std::vector<Prediction>>& wanted);

}  // namespace kvsim
