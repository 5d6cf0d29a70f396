// The progress of a command on standard error, by the wall clock.
#pragma once

#include "sim/report/progress.hpp"

namespace kvsim {

[[nodiscard]] Progress terminal_progress(std::string unit, std::optional<std::int64_t> total,
                                         bool quiet);

}  // namespace kvsim
