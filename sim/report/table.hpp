// A summary as a person reads it on a terminal: some twenty lines with units.
#pragma once

#include <string>

#include "sim/base/json.hpp"

namespace kvsim {

// `summary` as summarise() makes it.
[[nodiscard]] std::string summary_table(const Json& summary);

// A number with three or four significant digits in the unit that suits it; "-" for null.
[[nodiscard]] std::string human_seconds(const Json& seconds);  // "12.3 ms"
[[nodiscard]] std::string human_count(const Json& count);      // "1,234" or "12.3 M"

}  // namespace kvsim
