// A file of records, one a line: CSV with a header, or JSON objects. Plain or packed. Fields are
// asked for by name.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sim/workload/csv_reader.hpp"
#include "sim/workload/line_reader.hpp"

namespace kvsim {

class RecordLines {
 public:
  // Throws TraceError for an empty file.
  explicit RecordLines(std::unique_ptr<ByteStream> bytes);

  // Goes to the next record; false at the end.
  [[nodiscard]] bool next();
  // Throw TraceError for a missing field, or one that is no number of at least 0.
  [[nodiscard]] double number(const std::string& field) const;
  [[nodiscard]] std::int64_t integer(const std::string& field, std::int64_t low) const;
  // Numbers of JSON as they are written there.
  [[nodiscard]] std::string text(const std::string& field) const;

  [[nodiscard]] std::string place() const { return csv_ ? csv_->place() : lines_->place(); }

 private:
  std::optional<CsvReader> csv_;
  std::optional<LineReader> lines_;
  nlohmann::json json_;
};

}  // namespace kvsim
