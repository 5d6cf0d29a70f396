// Values as real configuration files write them, in units of their own, as values of ours.
#pragma once

#include <optional>
#include <string>

#include "sim/base/config_node.hpp"

namespace kvsim {

enum class Unit {
  kText,
  kFlag,         // yes/no, true/false, on/off, 1/0
  kInteger,      // a count; -1 and the like where the range allows it
  kNumber,       // may have a fraction
  kBytes,        // a whole number of bytes
  kMebibytes,    // a whole number of MiB
  kGibibytes,    // a number of GiB, may have a fraction
  kRedisMemory,  // 100mb (2^20), 100m (10^6), 1gb, ...
  kSeconds,
  kMilliseconds,
  kPercent,    // 25 for 0.25
  kHumanCount  // 8192, 8k (8000), 8K (8192), as vLLM reads them
};

// The value in our unit (bytes, seconds, a share, a bool, a number); nothing when the text is not
// of this unit. Integers stay integers.
[[nodiscard]] std::optional<Json> parse_unit(const std::string& text, Unit unit);

// What one of the unit is in ours: 1048576 for kMebibytes.
[[nodiscard]] double unit_factor(Unit unit);
// "a whole number of MiB", for messages.
[[nodiscard]] const char* unit_name(Unit unit);

// "512 MiB", "1 GiB", "100 B": exact binary units where they fit, else four digits.
[[nodiscard]] std::string human_bytes(double bytes);

[[nodiscard]] std::string lower_case(std::string text);

}  // namespace kvsim
