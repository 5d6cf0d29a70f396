// JSON with keys in the order of writing, so that equal runs write equal bytes.
#pragma once

#include <nlohmann/json.hpp>

namespace kvsim {

using Json = nlohmann::ordered_json;

}  // namespace kvsim
