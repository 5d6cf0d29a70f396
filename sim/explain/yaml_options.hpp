// YAML as a flat list of options.
#pragma once

#include <string>
#include <vector>

#include "sim/explain/option_table.hpp"

namespace kvsim {

// The scalars of a YAML mapping in the order of the file: nested names joined by dots, lists as
// "[a, b]", null as "null". Dashes in names become underscores. Throws ConfigError naming
// `name`:line:column for text that is no YAML mapping.
[[nodiscard]] std::vector<NamedValue> parse_yaml_options(const std::string& text,
                                                         const std::string& name);

}  // namespace kvsim
