// What others measured: configurations (case_index.csv) and results (measurements.csv).
//
// A case is one row of the index: its columns as text, by name. Nothing here knows a study: what
// the columns mean for a simulation is said by the study's template (sim/validate/study.hpp).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kvsim {

struct ValidationCase {
  std::map<std::string, std::string, std::less<>> columns;

  // Empty where the index has no such column.
  [[nodiscard]] std::string_view at(std::string_view column) const;
  [[nodiscard]] std::string_view id() const { return at("case_id"); }
  [[nodiscard]] std::string_view study() const { return at("study"); }
};

struct Measurement {
  std::string case_id;
  std::string study;
  std::string metric;
  std::string stat;
  std::string unit;
  double value = 0;
  std::string flag;
};

// Comma-separated with a header line; fields may be quoted. Throw TraceError naming file and line.
[[nodiscard]] std::vector<ValidationCase> read_cases(const std::string& file);
[[nodiscard]] std::vector<Measurement> read_measurements(const std::string& file);

}  // namespace kvsim
