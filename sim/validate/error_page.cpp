#include "sim/validate/error_page.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

constexpr std::array<std::string_view, 7> kColumns = {
    "e2e", "ttft", "itl", "throughput", "e2e tail", "ttft tail", "itl tail"};

std::string cell(const ErrorSummary& errors) {
  return fmt::format("{:.1f} / {:.1f} ({})", errors.median, errors.p90, errors.count);
}

}  // namespace

std::string markdown_errors(const std::vector<ErrorRow>& rows, const std::string& by) {
  using Line = std::map<std::string, std::string, std::less<>>;  // cells by class of metrics
  std::map<std::pair<std::string, std::string>, Line> lines;
  for (const ErrorRow& row : rows)
    if (row.by == by && !row.flagged) lines[{row.name, row.grade}][row.metric] = cell(row.errors);
  std::string out = by == "all" ? "| grade |" : fmt::format("| {} | grade |", by);
  for (const std::string_view column : kColumns) out += fmt::format(" {} |", column);
  out += by == "all" ? "\n|---|" : "\n|---|---|";
  for (std::size_t i = 0; i < kColumns.size(); ++i) out += "---|";
  out += '\n';
  for (const auto& [key, line] : lines) {
    out += by == "all" ? fmt::format("| {} |", key.second)
                       : fmt::format("| {} | {} |", key.first, key.second);
    for (const std::string_view column : kColumns) {
      const auto at = line.find(column);
      out += fmt::format(" {} |", at == line.end() ? "" : at->second);
    }
    out += '\n';
  }
  return out;
}

std::string with_parts(std::string page, const std::map<std::string, std::string>& parts,
                       const std::string& file) {
  for (const auto& [name, text] : parts) {
    const std::string begin = fmt::format("<!-- {} -->\n", name);
    const std::string end = fmt::format("<!-- end of {} -->", name);
    const std::size_t from = page.find(begin);
    const std::size_t to = page.find(end);
    if (from == std::string::npos || to == std::string::npos || to < from)
      throw ConfigError(fmt::format("{}: found no part {}; allowed: text between {} and {}", file,
                                    name, begin.substr(0, begin.size() - 1), end));
    page.replace(from + begin.size(), to - from - begin.size(), text);
  }
  return page;
}

}  // namespace kvsim
