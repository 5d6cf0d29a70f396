#include "sim/cli/terminal_progress.hpp"

#include <unistd.h>

#include <chrono>
#include <iostream>

namespace kvsim {

Progress terminal_progress(std::string unit, std::optional<std::int64_t> total, bool quiet) {
  ProgressOptions options{.unit = std::move(unit),
                          .total = total,
                          .quiet = quiet,
                          .terminal = isatty(STDERR_FILENO) == 1};
  return Progress(std::move(options), std::cerr, [] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  });
}

}  // namespace kvsim
