// What `kvsim validate` does beside predicting cases.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace kvsim {

// kvsim validate --sensitivity EXPERIMENT [--inputs FILE] [-j N] [-o DIR]: elasticities of a run's
// figures by its inputs. FILE is {"schema": "kvsim.sensitivity/1", "inputs": [pattern, ...],
// "step": 0.1}; without it every number that can be varied is. Prints a table and writes
// sensitivity.csv and sensitivity.json.
struct SensitivityArguments {
  std::string experiment;
  std::string inputs;
  std::string folder;
  std::size_t jobs = 0;  // 0 = all cores
  bool quiet = false;
};
[[nodiscard]] int run_sensitivity(const SensitivityArguments& arguments);

// kvsim validate --fit PLAN --cases C --measurements M [--write] [-j N] [-o DIR]: fits constants of
// model files to measurements (sim/validate/fit_plan.hpp). Each point is a `kvsim validate` of its
// own. Prints a table and writes fit.json and rows.csv; --write puts the values into models/.
struct FitArguments {
  std::string plan;
  std::string cases;
  std::string measurements;
  std::string per_request;
  std::string templates;
  std::string folder;
  std::size_t jobs = 0;
  bool write = false;
  bool resume = false;  // evaluations take over runs that were counted before
  bool quiet = false;
};
[[nodiscard]] int run_validation_fit(const FitArguments& arguments);

}  // namespace kvsim
