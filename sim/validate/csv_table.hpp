// A comma-separated file with a header line whose fields may be quoted (RFC 4180: commas, doubled
// quotes and line breaks inside quotes). Read whole: for lists of cases, not for traces.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvsim {

struct CsvTable {
  std::string file;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // as many fields as columns each
  std::vector<std::size_t> lines;              // of each row's begin, from 1

  [[nodiscard]] std::optional<std::size_t> find_column(std::string_view name) const;
  // Throws TraceError naming the columns there are.
  [[nodiscard]] std::size_t column(std::string_view name) const;
  // "file:line" of a row.
  [[nodiscard]] std::string place(std::size_t row) const;
};

// Throws TraceError naming file and line: no file, a row of another length, a quote that stays
// open.
[[nodiscard]] CsvTable read_csv(const std::string& file);

// The field as it is written: quoted where it must be.
[[nodiscard]] std::string csv_field(std::string_view text);

}  // namespace kvsim
