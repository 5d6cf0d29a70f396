// A study's template: configs/validation/<study>.json ("schema": "kvsim.validation/1") says how the
// rows of a study become experiments and how its tool counted. docs/validation.md has the format.
//
// Rows that agree in the columns of "run_by" are served by one server life: one run. Its stages are
// the template's "levels" in their order; each row is cut out of the run by its level. Nothing in a
// template depends on a single case: rules match engine version, GPU, model, connector, workload.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/counting.hpp"

namespace kvsim {

class Patterns;

// Which part of a run a case is.
struct CaseCut {
  enum class Of { kStage, kAll, kBest };
  std::size_t of_case = 0;  // index into the cases
  Of of = Of::kAll;         // kBest: of the stage with the highest output throughput
  std::size_t stage = 0;    // kStage: index into the levels
  // kBest: the level that the row says was the best ("grade": {"peak_level": ...}); null: unknown.
  Json peak_level;
};

// One simulation; with "restart" in the template a ladder is several, one a level.
struct PlannedRun {
  std::string name;  // unique within its study: folder of its results
  std::string study;
  // One, or one a level, null for a level that no case needs. Each begins with `first_stages`
  // stages that are not counted.
  std::vector<Json> experiments;
  std::size_t first_stages = 0;
  std::vector<std::string> levels;  // names of the counted stages, in order; one "" without levels
  std::vector<CaseCut> cuts;
  CountingRules counting;
};

class Study {
 public:
  // Throws ConfigError naming the JSON path.
  explicit Study(const std::string& file);
  ~Study();
  Study(Study&&) noexcept;
  Study& operator=(Study&&) noexcept;

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] bool serves(std::string_view study) const;
  // "serving" unless the template says that its rows are something else than experiments.
  [[nodiscard]] const std::string& kind() const { return kind_; }
  // The whole template, unfilled, and where it was read from.
  [[nodiscard]] const Json& json() const { return json_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  // Runs for those of `cases` that belong to this study and are `chosen` (as many as cases; empty =
  // all). A run does not depend on which of its cases are chosen. `per_request`: folder of
  // per-request files, empty = none at hand. Nothing for another kind than "serving".
  [[nodiscard]] std::vector<PlannedRun> plan(const std::vector<ValidationCase>& cases,
                                             const std::vector<bool>& chosen,
                                             const std::string& per_request) const;

 private:
  Json json_;
  std::string file_;
  std::string kind_ = "serving";
  std::vector<std::string> names_;
  std::unique_ptr<Patterns> patterns_;
};

// The templates in `folder`, sorted; its other JSON files are passed over. Throws ConfigError when
// there is no such folder.
[[nodiscard]] std::vector<std::string> template_files(const std::string& folder);

}  // namespace kvsim
