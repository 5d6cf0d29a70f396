// A list of runs of this program, a few at a time, with progress on standard error.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace kvsim {

struct ChildRun {
  std::vector<std::string> command;  // the first is the program's name
  std::string log;                   // file for what it prints
};

struct ChildRunOptions {
  const char* unit = "runs";  // for the progress
  std::size_t jobs = 0;       // at a time; 0 = all cores
  bool quiet = false;
};

// Runs 0 to `count` - 1: `prepare(i)` is called just before i starts, `settle(i, exit code)` once
// it has ended. False: a signal asked to stop; those that ran were told and waited for.
[[nodiscard]] bool run_children(const ChildRunOptions& options, std::size_t count,
                                const std::function<ChildRun(std::size_t)>& prepare,
                                const std::function<void(std::size_t, int)>& settle);

// What a failed run said last.
[[nodiscard]] std::string last_line(const std::string& file);

}  // namespace kvsim
