#include "sim/workload/json_line.hpp"

#include <fmt/format.h>

#include <cmath>

namespace kvsim {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 53;

std::string text_of(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

}  // namespace

JsonObject::JsonObject(const nlohmann::json& json, const LineReader& lines)
    : json_(json), lines_(lines) {
  if (!json.is_object()) lines.fail(text_of(json), "a JSON object");
}

const nlohmann::json* JsonObject::find(std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    const auto found = json_.find(name);
    if (found != json_.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

std::int64_t JsonObject::integer(std::initializer_list<const char*> names, std::int64_t low) const {
  const nlohmann::json* value = find(names);
  const auto allowed = [&] { return fmt::format("a whole number of at least {}", low); };
  if (value == nullptr) fail(*names.begin(), "nothing", allowed());
  // Tools that pass through floating point write 12.0.
  const double real = value->is_number() ? value->get<double>() : -1e300;
  const auto whole = value->is_number_integer() ? value->get<std::int64_t>()
                     : real == std::floor(real) && std::abs(real) < 1e15
                         ? static_cast<std::int64_t>(real)
                         : kLargest + 1;
  if (!value->is_number() || whole < low || whole > kLargest)
    fail(*names.begin(), text_of(*value), allowed());
  return whole;
}

double JsonObject::number(std::initializer_list<const char*> names) const {
  const nlohmann::json* value = find(names);
  const char* allowed = "a number of at least 0";
  if (value == nullptr) fail(*names.begin(), "nothing", allowed);
  if (!value->is_number() || !(value->get<double>() >= 0))
    fail(*names.begin(), text_of(*value), allowed);
  return value->get<double>();
}

bool JsonObject::list(const char* name, std::vector<std::uint64_t>& out) const {
  out.clear();
  const nlohmann::json* value = find({name});
  if (value == nullptr) return false;
  if (!value->is_array()) fail(name, text_of(*value), "a list of whole numbers");
  out.reserve(value->size());
  for (const nlohmann::json& item : *value) {
    if (!item.is_number_unsigned()) fail(name, text_of(item), "whole numbers of at least 0");
    out.push_back(item.get<std::uint64_t>());
  }
  return true;
}

void JsonObject::fail(const char* key, const std::string& found, const std::string& allowed) const {
  lines_.fail(fmt::format("\"{}\": {}", key, found), allowed);
}

nlohmann::json parse_json_line(std::string_view line, const LineReader& lines) {
  nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    lines.fail(lines.unfinished() ? "half a line at the end of the file: it is cut off"
                                  : quoted(line) + ", which is not JSON",
               "one JSON object a line");
  }
  return json;
}

void UnknownKeys::look(const nlohmann::json& object, const LineReader& lines) {
  for (const auto& item : object.items()) {
    if (seen_.find(item.key()) != seen_.end()) continue;
    seen_.insert(item.key());
    warn_(fmt::format("{}: the key \"{}\" is not used", lines.place(), item.key()));
  }
}

}  // namespace kvsim
