#include "sim/cli/validation_report.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/report/output_file.hpp"
#include "sim/validate/error_gates.hpp"
#include "sim/validate/error_page.hpp"
#include "sim/validate/error_table.hpp"

namespace kvsim {

namespace {

std::string read_text(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf()))
    throw ConfigError(fmt::format("{}: found no readable text; allowed: a page", file));
  return std::move(out).str();
}

void update_page(const std::string& file, const std::vector<ErrorRow>& rows,
                 const std::vector<StudyGrade>& grades) {
  std::map<std::string, std::string> parts;
  for (const char* by : {"all", "study", "gpu", "model"})
    parts[fmt::format("errors by {}", by)] = markdown_errors(rows, by);
  parts["grades"] = markdown_grades(grades);
  write_text_file(file, with_parts(read_text(file), parts, file));
}

int check_gates(const std::string& file, const std::vector<ErrorRow>& rows) {
  const Json json = load_json(file);
  const std::vector<std::string> broken =
      broken_gates(read_error_gates(ConfigNode(json, file)), rows);
  for (const std::string& line : broken) fmt::print(stderr, "{}\n", line);
  if (broken.empty()) fmt::print("every bound of {} is kept\n", file);
  return broken.empty() ? kExitOk : kExitDifference;
}

}  // namespace

int report_validation(const ReportFiles& files, const std::vector<ValidationCase>& cases,
                      const std::vector<Prediction>& predictions,
                      const std::vector<StudyGrade>& grades) {
  write_predictions((files.folder / "predictions.csv").string(), cases, predictions);
  const std::vector<ErrorRow> rows = error_rows(cases, predictions);
  write_json_file((files.folder / "errors.json").string(), {{"schema", "kvsim.validation_errors/1"},
                                                            {"errors", errors_json(rows)},
                                                            {"grades", grades_json(grades)}});
  fmt::print("{}{}", error_table(rows), grade_table(grades));
  if (!files.page.empty()) update_page(files.page, rows, grades);
  return files.gates.empty() ? kExitOk : check_gates(files.gates, rows);
}

}  // namespace kvsim
