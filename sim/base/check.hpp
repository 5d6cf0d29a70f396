// KV_CHECK(condition, "facts {}", x): an invariant of ours, on in every build. When it fails it
// prints the facts, the simulated time, the seed, the configuration's hash and the command that
// replays the run, then throws CheckFailure, which main() turns into exit code 70.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <stdexcept>
#include <string>

namespace kvsim {

class CheckFailure : public std::logic_error {
  using std::logic_error::logic_error;
};

// What a failed check prints beside its own facts. Set once by whoever runs a simulation.
struct CheckContext {
  std::function<double()> now_s;
  std::string replay;  // seed, configuration hash and command
};
CheckContext& check_context();

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& facts);

}  // namespace kvsim

#define KV_CHECK(condition, ...)                                                            \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::kvsim::check_failed(#condition, __FILE__, __LINE__, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
