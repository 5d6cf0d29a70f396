#include "sim/validate/template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>

namespace kvsim {

namespace {

constexpr std::array kHoles = {"$column", "$level", "$file", "$path"};

bool is_hole(const Json& json) {
  return json.is_object() && std::any_of(kHoles.begin(), kHoles.end(),
                                         [&](const char* key) { return json.contains(key); });
}

bool is_list_of_objects(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& element) {
           return element.is_object() && !is_hole(element);
         });
}

std::string text_of(const Json& json) {
  return json.is_string() ? json.get<std::string>() : json.dump();
}

Json whole_or_real(double value) {
  constexpr double kExact = 9e15;
  if (value == std::floor(value) && std::abs(value) < kExact)
    return static_cast<std::int64_t>(value);
  return value;
}

class Filler {
 public:
  Filler(const TemplateValues& values, Patterns& patterns) : values_(values), patterns_(patterns) {}

  Json fill(const ConfigNode& node) {
    if (is_hole(node.json())) return fill_hole(node);
    if (node.json().is_array()) {
      Json out = Json::array();
      for (std::size_t i = 0; i < node.json().size(); ++i) out.push_back(fill(node.at(i)));
      return out;
    }
    if (!node.json().is_object()) return node.json();
    Json out = Json::object();
    for (const auto& [key, value] : node.json().items()) {
      Json filled = fill(node.at(key));
      if (!(filled.is_null() && is_hole(value))) out[key] = std::move(filled);
    }
    return out;
  }

 private:
  Json fill_hole(const ConfigNode& node) {
    check_keys(node);
    if (node.has("$file")) return fill_file(node);
    if (node.has("$path"))
      return std::filesystem::absolute(node.resolve_path(node.at("$path").text())).string();
    std::string text = node.has("$column") ? column(node.at("$column")) : level(node);
    if (text.empty()) return fallback(node, "an empty column");
    if (node.has("pattern")) {
      std::smatch found;
      if (!std::regex_search(text, found, patterns_.of(node.at("pattern"))))
        return fallback(node, fmt::format("\"{}\"", text));
      text = found.size() > 1 ? found[1].str() : found[0].str();
    }
    if (node.has("map")) {
      const ConfigNode map = node.at("map");
      if (!map.has(text.c_str())) return fallback(node, fmt::format("\"{}\"", text));
      return arithmetic(node, fill(map.at(text)));
    }
    if (node.has("text") && node.at("text").boolean()) return text;
    return arithmetic(node, number_or_text(text));
  }

  static void check_keys(const ConfigNode& node) {
    static const std::vector<std::string> known = {"$column", "$level",  "$file", "$path",
                                                   "pattern", "default", "map",   "times",
                                                   "plus",    "floor",   "text",  "ends"};
    for (const auto& [key, value] : node.json().items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        node.fail(fmt::format("the unknown key \"{}\"", key), join_names(known));
  }

  Json fallback(const ConfigNode& node, const std::string& found) {
    if (!node.has("default"))
      node.fail(found, "what \"pattern\" and \"map\" know, or a \"default\"");
    return fill(node.at("default"));
  }

  Json arithmetic(const ConfigNode& node, Json value) {
    const bool floor = node.has("floor") && node.at("floor").boolean();
    if (!node.has("times") && !node.has("plus") && !floor) return value;
    if (!value.is_number()) node.fail(value.dump(), "a number, for \"times\" and \"plus\"");
    double number = value.get<double>();
    constexpr Range kAny{-1e300, 1e300};
    if (node.has("times")) number *= factor(node.at("times"), kAny);
    if (node.has("plus")) number += factor(node.at("plus"), kAny);
    return whole_or_real(floor ? std::floor(number) : number);
  }

  double factor(const ConfigNode& node, Range range) {
    const Json filled = fill(node);
    return ConfigNode(filled, node.file(), node.path()).number(range);
  }

  std::string column(const ConfigNode& node) const {
    const std::string name = node.text();
    const ValidationCase& first = *values_.rows.front();
    if (!first.columns.contains(name)) node.fail(node.found(), "a column of the cases");
    for (const ValidationCase* row : values_.rows)
      if (row->at(name) != first.at(name))
        node.fail(fmt::format("{}: \"{}\" for {} and \"{}\" for {}, which share a run", name,
                              first.at(name), first.id(), row->at(name), row->id()),
                  "columns in which all rows of a run agree (see \"run_by\")");
    return std::string(first.at(name));
  }

  std::string level(const ConfigNode& node) const {
    if (values_.level.is_null()) node.fail("\"$level\"", "it in \"stage\" only");
    return text_of(values_.level);
  }

  Json fill_file(const ConfigNode& node) {
    const std::string part = text_of(fill(node.at("$file")));
    const std::string ends = node.has("ends") ? node.at("ends").text() : "";
    std::vector<std::string> found;
    std::error_code ignored;
    if (!values_.per_request.empty())
      for (const auto& entry : std::filesystem::directory_iterator(values_.per_request, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.find(part) != std::string::npos && name.ends_with(ends))
          found.push_back(std::filesystem::absolute(entry.path()).string());
      }
    if (found.empty()) return fallback(node, fmt::format("no file for \"{}\"", part));
    if (found.size() > 1)
      node.fail(fmt::format("{} files for \"{}\"", found.size(), part),
                "one; tell them by \"ends\"");
    return found.front();
  }

  const TemplateValues& values_;
  Patterns& patterns_;
};

}  // namespace

void merge_template(Json& target, const Json& patch) {
  if (!patch.empty() && is_list_of_objects(target) && is_list_of_objects(patch)) {
    for (std::size_t i = 0; i < patch.size(); ++i) {
      if (i < target.size())
        merge_template(target[i], patch[i]);
      else
        target.push_back(patch[i]);
    }
    return;
  }
  if (!patch.is_object() || is_hole(patch)) {
    target = patch;
    return;
  }
  if (!target.is_object() || is_hole(target)) target = Json::object();
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null())
      target.erase(key);
    else
      merge_template(target[key], value);
  }
}

Json number_or_text(const std::string& text) {
  std::int64_t whole = 0;
  double real = 0;
  const char* const end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, whole);
      read.ec == std::errc() && read.ptr == end)
    return whole;
  if (const auto read = std::from_chars(text.data(), end, real);
      read.ec == std::errc() && read.ptr == end && std::isfinite(real))
    return real;
  return text;
}

bool same_level(const Json& a, const Json& b) {
  const Json left = number_or_text(text_of(a));
  const Json right = number_or_text(text_of(b));
  if (left.is_number() && right.is_number()) return left.get<double>() == right.get<double>();
  return text_of(a) == text_of(b);
}

const std::regex& Patterns::of(const ConfigNode& node) {
  const std::string text = node.text();
  const auto found = compiled_.find(text);
  if (found != compiled_.end()) return found->second;
  try {
    return compiled_.emplace(text, std::regex(text)).first->second;
  } catch (const std::regex_error&) {
    node.fail(node.found(), "a regular expression");
  }
}

Json fill_template(const ConfigNode& node, const TemplateValues& values, Patterns& patterns) {
  return Filler(values, patterns).fill(node);
}

}  // namespace kvsim
