// JSON with holes: what a template says of a run is merged from its rules, then filled from the
// columns of the run's rows. docs/validation.md describes the holes ($column, $level, $file,
// $path).
#pragma once

#include <map>
#include <regex>
#include <string>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/validate/case.hpp"

namespace kvsim {

// RFC 7386 merge patch, except that two arrays of objects are merged element by element (further
// elements of `patch` are appended). A hole is replaced, never merged into.
void merge_template(Json& target, const Json& patch);

// Text as the number that it looks like, else as text.
[[nodiscard]] Json number_or_text(const std::string& text);
// Numbers by value, words by letters: "50" names the level 50.0.
[[nodiscard]] bool same_level(const Json& a, const Json& b);

// Compiled regular expressions, each once.
class Patterns {
 public:
  // Throws ConfigError at `node`, a string.
  const std::regex& of(const ConfigNode& node);

 private:
  std::map<std::string, std::regex> compiled_;
};

// What the holes of one template are filled from.
struct TemplateValues {
  // The rows of one run. A column that they do not agree in cannot be asked for.
  std::vector<const ValidationCase*> rows;
  Json level;               // null: none here
  std::string per_request;  // folder; empty: none at hand
};

// `node` with every hole filled. A member whose hole comes out as null is left out. Throws
// ConfigError naming the JSON path.
[[nodiscard]] Json fill_template(const ConfigNode& node, const TemplateValues& values,
                                 Patterns& patterns);

}  // namespace kvsim
