// Reruns of an experiment with a part of it made free, each in a process of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/report/what_if.hpp"

namespace kvsim {

struct WhatIfRuns {
  std::string experiment;              // file
  std::string variant;                 // of that file; empty = none
  std::vector<std::string> overrides;  // of the run itself
  std::filesystem::path folder;        // a folder for each rerun is made in it
  bool quiet = false;
};

// One gain for each, in their order; one that failed says so: {free, error}. Ends early, with those
// that are done, when a signal asks to stop.
[[nodiscard]] Json run_what_ifs(const WhatIfRuns& runs, const std::vector<WhatIf>& what_ifs,
                                const Json& summary);

}  // namespace kvsim
