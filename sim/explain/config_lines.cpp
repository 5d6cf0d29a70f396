#include "sim/explain/config_lines.hpp"

#include <algorithm>
#include <sstream>

namespace kvsim {

namespace {

constexpr const char* kSpaces = " \t\r\n\v\f";

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

// The text between the quote at the front and its partner; a backslash keeps the next character.
std::string unquoted(const std::string& text) {
  std::string out;
  for (std::size_t i = 1; i < text.size() && text[i] != text[0]; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

std::string value_of(const std::string& rest) {
  if (!rest.empty() && (rest[0] == '"' || rest[0] == '\'')) return unquoted(rest);
  return trimmed(rest.substr(0, rest.find('#')));
}

}  // namespace

std::vector<NamedValue> parse_config_lines(const std::string& text) {
  std::vector<NamedValue> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = trimmed(line);
    if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a byte order mark
    const std::size_t end = line.find_first_of(std::string(kSpaces) + "#");
    const std::string name = lower_case(line.substr(0, end));
    if (name.empty()) continue;
    const std::string rest = end == std::string::npos ? "" : trimmed(line.substr(end));
    out.push_back({name, value_of(rest)});
  }
  return out;
}

bool has_option(const std::vector<NamedValue>& options, const std::vector<std::string>& names) {
  return std::any_of(options.begin(), options.end(), [&](const NamedValue& option) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.back() == '.' ? option.name.starts_with(name) : option.name == name;
    });
  });
}

}  // namespace kvsim
