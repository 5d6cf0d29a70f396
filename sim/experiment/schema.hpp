// JSON Schema of experiment files, from the same descriptions that read them.
#pragma once

#include "sim/base/json.hpp"

namespace kvsim {

Json experiment_schema();

}  // namespace kvsim
