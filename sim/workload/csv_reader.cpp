#include "sim/workload/csv_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/base/config_node.hpp"

namespace kvsim {

CsvReader::CsvReader(std::unique_ptr<ByteStream> bytes) : lines_(std::move(bytes)) {
  std::string_view line;
  if (!lines_.next(line)) lines_.fail("an empty file", "a header line and a line a request");
  split(line);
  columns_.assign(fields_.begin(), fields_.end());
}

void CsvReader::split(std::string_view line) {
  fields_.clear();
  while (true) {
    const std::size_t comma = line.find(',');
    std::string_view field = line.substr(0, comma);
    while (field.starts_with(' ')) field.remove_prefix(1);
    while (field.ends_with(' ')) field.remove_suffix(1);
    fields_.push_back(field);
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

std::optional<std::size_t> CsvReader::find_column(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

std::size_t CsvReader::column(std::string_view name) const {
  const auto found = find_column(name);
  if (!found)
    lines_.fail(fmt::format("the columns {}", join_names(columns_)),
                fmt::format("a column {}", quoted(name)));
  return *found;
}

bool CsvReader::next() {
  std::string_view line;
  if (!lines_.next(line)) return false;
  split(line);
  if (fields_.size() != columns_.size()) {
    const char* cut = lines_.unfinished() ? " at the end of the file: it is cut off" : "";
    lines_.fail(fmt::format("{} fields{}", fields_.size(), cut),
                fmt::format("{}, as in the header", columns_.size()));
  }
  return true;
}

double CsvReader::number(std::size_t column, double low) const {
  const std::string_view field = fields_[column];
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size() || !(value >= low) ||
      !std::isfinite(value))
    fail(column, fmt::format("a number of at least {}", low));
  return value;
}

std::int64_t CsvReader::integer(std::size_t column, std::int64_t low) const {
  const std::string_view field = fields_[column];
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error == std::errc() && end == field.data() + field.size() && value >= low) return value;
  const double real = number(column, static_cast<double>(low));
  if (real != std::floor(real) || real > 0x1p53)
    fail(column, fmt::format("a whole number of at least {}", low));
  return static_cast<std::int64_t>(real);
}

void CsvReader::fail(std::size_t column, const std::string& allowed) const {
  lines_.fail(fmt::format("\"{}\": {}", columns_[column], quoted(fields_[column])), allowed);
}

}  // namespace kvsim
