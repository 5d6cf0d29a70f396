// Files of "name value" lines, as Kvrocks, Redis and Valkey read them.
#pragma once

#include <string>
#include <vector>

#include "sim/explain/option_table.hpp"

namespace kvsim {

// A line is a name, spaces, and a value that may be in single or double quotes; # starts a comment,
// also after a value (Redis itself does not accept that; files in the wild have it). Names come
// back in lower case. A name alone has the value "".
[[nodiscard]] std::vector<NamedValue> parse_config_lines(const std::string& text);

// Whether a line of `text` begins with one of `names`; a name that ends in "." counts as a prefix.
[[nodiscard]] bool has_option(const std::vector<NamedValue>& options,
                              const std::vector<std::string>& names);

}  // namespace kvsim
