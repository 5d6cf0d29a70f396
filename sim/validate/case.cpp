#include "sim/validate/case.hpp"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "sim/base/errors.hpp"
#include "sim/validate/csv_table.hpp"

namespace kvsim {

namespace {

double number(const CsvTable& table, std::size_t row, std::size_t column) {
  const std::string& text = table.rows[row][column];
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw TraceError(fmt::format("{}: {}: found \"{}\"; allowed: a number", table.place(row),
                                 table.columns[column], text));
  return value;
}

}  // namespace

std::string_view ValidationCase::at(std::string_view column) const {
  const auto found = columns.find(column);
  return found == columns.end() ? std::string_view() : std::string_view(found->second);
}

std::vector<ValidationCase> read_cases(const std::string& file) {
  const CsvTable table = read_csv(file);
  const std::size_t id = table.column("case_id");
  (void)table.column("study");
  std::vector<ValidationCase> out;
  std::set<std::string_view> known;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (!known.insert(table.rows[row][id]).second)
      throw TraceError(fmt::format("{}: found a second case \"{}\"; allowed: each once",
                                   table.place(row), table.rows[row][id]));
    ValidationCase& added = out.emplace_back();
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      added.columns.emplace(table.columns[column], table.rows[row][column]);
  }
  return out;
}

std::vector<Measurement> read_measurements(const std::string& file) {
  const CsvTable table = read_csv(file);
  const std::size_t case_id = table.column("case_id");
  const std::size_t study = table.column("study");
  const std::size_t metric = table.column("metric");
  const std::size_t stat = table.column("stat");
  const std::size_t unit = table.column("unit");
  const std::size_t value = table.column("value");
  const auto flag = table.find_column("flag");
  std::vector<Measurement> out;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::vector<std::string>& fields = table.rows[row];
    out.push_back({fields[case_id], fields[study], fields[metric], fields[stat], fields[unit],
                   number(table, row, value), flag ? fields[*flag] : ""});
  }
  return out;
}

}  // namespace kvsim
