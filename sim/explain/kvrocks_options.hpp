// The options of kvrocks.conf (Kvrocks 2.10 of October 2024), with what each means here.
#pragma once

#include "sim/explain/option_table.hpp"

namespace kvsim {

[[nodiscard]] const OptionTable& kvrocks_options();

}  // namespace kvsim
