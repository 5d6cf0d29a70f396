// A CSV file with a header line, read strictly. No quoting: no trace format has commas in a field.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/line_reader.hpp"

namespace kvsim {

class CsvReader {
 public:
  // Reads the header. Throws TraceError when there is none.
  explicit CsvReader(std::unique_ptr<ByteStream> bytes);

  // Where a column stands; with `column` its absence is an error that names the columns there are.
  [[nodiscard]] std::optional<std::size_t> find_column(std::string_view name) const;
  [[nodiscard]] std::size_t column(std::string_view name) const;

  // Goes to the next line; false at the end.
  [[nodiscard]] bool next();
  [[nodiscard]] std::string_view text(std::size_t column) const { return fields_[column]; }
  // A whole number of at least `low`; "12.0" is one.
  [[nodiscard]] std::int64_t integer(std::size_t column, std::int64_t low) const;
  [[nodiscard]] double number(std::size_t column, double low) const;
  [[noreturn]] void fail(std::size_t column, const std::string& allowed) const;

  [[nodiscard]] std::string place() const { return lines_.place(); }

 private:
  void split(std::string_view line);

  LineReader lines_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
};

}  // namespace kvsim
