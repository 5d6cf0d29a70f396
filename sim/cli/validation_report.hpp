// What a validation says at its end: files, tables, a page, and whether bounds were kept.
#pragma once

#include <string>
#include <vector>

#include "sim/cli/validation_runs.hpp"
#include "sim/validate/grades.hpp"

namespace kvsim {

struct ReportFiles {
  std::filesystem::path folder;
  std::string page;   // Markdown whose tables are brought up to date; empty: none
  std::string gates;  // bounds of errors; empty: none
};

// Writes predictions.csv and errors.json and prints both tables. Returns kExitDifference when a
// bound is broken, each told on standard error.
[[nodiscard]] int report_validation(const ReportFiles& files,
                                    const std::vector<ValidationCase>& cases,
                                    const std::vector<Prediction>& predictions,
                                    const std::vector<StudyGrade>& grades);

}  // namespace kvsim
