#include "sim/base/config_node.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/json_pointer.hpp"

namespace kvsim {

ConfigNode ConfigNode::at(const std::string& key) const {
  return {value_->at(key), file_, path_ + "/" + escape_pointer(key)};
}

ConfigNode ConfigNode::at(std::size_t index) const {
  return {value_->at(index), file_, path_ + "/" + std::to_string(index)};
}

std::string ConfigNode::resolve_path(const std::string& path) const {
  const std::filesystem::path given(path);
  if (given.is_absolute() || file_.empty()) return path;
  return (std::filesystem::path(file_).parent_path() / given).lexically_normal().string();
}

double ConfigNode::number(Range range) const {
  const std::string allowed = fmt::format("a number in [{:g}, {:g}]", range.low, range.high);
  if (!value_->is_number()) fail(found(), allowed);
  const double value = value_->get<double>();
  if (!(value >= range.low && value <= range.high)) fail(found(), allowed);
  return value;
}

std::int64_t ConfigNode::integer(Range range) const {
  const std::string allowed = fmt::format("a whole number in [{:g}, {:g}]", range.low, range.high);
  if (!value_->is_number()) fail(found(), allowed);
  const double value = value_->get<double>();
  if (!(value >= range.low && value <= range.high) || value != std::floor(value) ||
      std::abs(value) > 9.0e18)
    fail(found(), allowed);
  return value_->is_number_integer() ? value_->get<std::int64_t>()
                                     : static_cast<std::int64_t>(value);
}

bool ConfigNode::boolean() const {
  if (!value_->is_boolean()) fail(found(), "true or false");
  return value_->get<bool>();
}

std::string ConfigNode::text() const {
  if (!value_->is_string()) fail(found(), "a string");
  return value_->get<std::string>();
}

void ConfigNode::expect_object() const {
  if (!value_->is_object()) fail(found(), "an object");
}

void ConfigNode::expect_array() const {
  if (!value_->is_array()) fail(found(), "a list");
}

void ConfigNode::fail(const std::string& found, const std::string& allowed) const {
  const std::string where = path_.empty() ? "/" : path_;
  throw ConfigError(fmt::format("{}: {}: found {}; allowed: {}", file_, where, found, allowed));
}

std::string ConfigNode::found() const {
  std::string text = value_->dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr std::size_t kLongest = 80;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

Json parse_json(const std::string& text, const std::string& name) {
  try {
    return Json::parse(text, nullptr, true, /*ignore_comments=*/true);
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t end = std::min(error.byte, text.size());
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i + 1 < end; ++i) {
      column = text[i] == '\n' ? 1 : column + 1;
      if (text[i] == '\n') ++line;
    }
    throw ConfigError(
        fmt::format("{}:{}:{}: found text that is not JSON; allowed: JSON (// comments too)", name,
                    line, column));
  }
}

Json load_json(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw ConfigError(fmt::format("{}: found a folder; allowed: a JSON file", file));
  std::ifstream in(file, std::ios::binary);
  if (!in) throw ConfigError(fmt::format("{}: found no readable file; allowed: a JSON file", file));
  std::ostringstream text;
  text << in.rdbuf();
  return parse_json(text.str(), file);
}

std::string join_names(const std::vector<std::string>& names) {
  if (names.empty()) return "(there is none)";
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace kvsim
