// Whose fault it is decides the type; only main() turns an error into an exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace kvsim {

// The user's configuration or flags: names the JSON path, what was found and what is allowed.
// Exit code 2. Thrown only before simulated time starts.
class ConfigError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The user's trace: names file:line, what was found and what is allowed. Exit code 2.
class TraceError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The machine's fault: no space, no permission, no such device. Exit code 3.
class EnvironmentError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitDifference = 1;
inline constexpr int kExitUser = 2;
inline constexpr int kExitEnvironment = 3;
inline constexpr int kExitBug = 70;

}  // namespace kvsim
