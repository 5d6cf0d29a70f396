// The "live" part of a summary as text.
#pragma once

#include <string>

#include "sim/base/json.hpp"

namespace kvsim {

[[nodiscard]] std::string live_table(const Json& live);

}  // namespace kvsim
