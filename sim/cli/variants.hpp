// The variants of an experiment, each run by a process of its own, and one table of all of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/experiment/variant_plan.hpp"

namespace kvsim {

struct VariantRuns {
  std::string experiment;  // file
  std::string name;        // for the results
  // Of `kvsim run` beside file, variant, folder and outputs.
  std::vector<std::string> arguments;
  std::string outputs = "summary";  // without the summary there is no table
  std::filesystem::path folder;     // each variant's is made in it
  std::size_t jobs = 0;             // 0 = all cores
  bool quiet = false;
};

// Prints the table and writes it as variants.csv and variants.json. Returns the exit code: that of
// a run that failed, and no table when a signal asked to stop.
[[nodiscard]] int run_variants(const VariantRuns& runs, const std::vector<Variant>& variants);

}  // namespace kvsim
