// The command line of gpu_probe.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace kvsim::kernels {

// The user's mistake: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Arguments {
  enum class Mode { kHelp, kMeasure, kCheck, kServe };
  Mode mode = Mode::kHelp;
  bool full = false;
  int device = 0;
  std::string shapes;  // file; empty: the built-in shapes
  std::string out;
};

// Without the program's name. Throws UsageError that names what is wrong and what is allowed.
Arguments parse_arguments(const std::vector<std::string>& arguments);
const char* usage_text();

}  // namespace kvsim::kernels
