#include "sim/validate/csv_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

// Takes rows off a text, one at a time.
class Rows {
 public:
  Rows(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  // False at the end. Empty lines are passed over.
  bool next(std::vector<std::string>& fields) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) step();
    if (at_ >= text_.size()) return false;
    begin_ = line_;
    fields.clear();
    do fields.push_back(field());
    while (at_ < text_.size() && text_[at_] == ',' && (step(), true));
    return true;
  }
  [[nodiscard]] std::size_t line() const { return begin_; }

 private:
  void step() {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }

  std::string field() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted();
    const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string out(text_.substr(at_, end - at_));
    at_ = end;
    return out;
  }

  std::string quoted() {
    std::string out;
    step();
    for (; at_ < text_.size(); step()) {
      if (text_[at_] == '"') {
        step();
        if (at_ >= text_.size() || text_[at_] != '"') return out;
      }
      out += text_[at_];
    }
    throw TraceError(
        fmt::format("{}:{}: found a quote that stays open; allowed: \"...\"", file_, begin_));
  }

  const std::string& file_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t begin_ = 1;
};

}  // namespace

std::optional<std::size_t> CsvTable::find_column(std::string_view name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

std::size_t CsvTable::column(std::string_view name) const {
  const auto found = find_column(name);
  if (!found)
    throw TraceError(fmt::format("{}:1: found no column \"{}\"; there are: {}", file, name,
                                 fmt::join(columns, ", ")));
  return *found;
}

std::string CsvTable::place(std::size_t row) const {
  return fmt::format("{}:{}", file, lines[row]);
}

CsvTable read_csv(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream buffer;
  if (!in || !(buffer << in.rdbuf()))
    throw TraceError(fmt::format("{}:1: found no readable text; allowed: a CSV file", file));
  const std::string text = buffer.str();
  CsvTable out{.file = file, .columns = {}, .rows = {}, .lines = {}};
  Rows rows(file, text);
  (void)rows.next(out.columns);
  for (std::vector<std::string> fields; rows.next(fields);) {
    if (fields.size() != out.columns.size())
      throw TraceError(fmt::format("{}:{}: found {} fields; allowed: {} as in the header", file,
                                   rows.line(), fields.size(), out.columns.size()));
    out.rows.push_back(std::move(fields));
    out.lines.push_back(rows.line());
  }
  return out;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace kvsim
