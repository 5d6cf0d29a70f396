// A study's template: configs/validation/<study>.json ("schema": "kvsim.validation/1") says how the
// rows of a study become experiments and how its tool counted. docs/validation.md has the format.
//
// Rows that agree in the columns of "run_by" are served by one server life: one run. Its stages are
// the template's "levels" in their order; each row is cut out of the run by its level. Nothing in a
// template depends on a single case: rules match engine version, GPU, model, connector, workload.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/counting.hpp"

namespace kvsim {

// Which part of a run a case is.
struct CaseCut {
  enum class Of { kStage, kAll, kBest };
  std::size_t of_case = 0;  // index into the cases
  Of of = Of::kAll;         // kBest: of the stage with the highest output throughput
  std::size_t stage = 0;    // kStage: index into the stages
};

// One simulation; with "restart" in the template a ladder is several, one a level.
struct PlannedRun {
  std::string name;  // unique: folder of its results
  std::string study;
  std::vector<Json> experiments;    // one, or one a level
  std::vector<std::string> levels;  // names of the stages, in order; one "" without levels
  std::vector<CaseCut> cuts;
  CountingRules counting;
};

class Study {
 public:
  // Throws ConfigError naming the JSON path.
  explicit Study(const std::string& file);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // Runs for those of `cases` that belong to this study (and whose index is in `chosen`, when it is
  // not empty). `per_request`: folder of per-request files, empty = none at hand.
  [[nodiscard]] std::vector<PlannedRun> plan(const std::vector<ValidationCase>& cases,
                                             const std::string& per_request) const;

 private:
  Json json_;
  std::string file_;
  std::vector<std::string> names_;
};

}  // namespace kvsim
