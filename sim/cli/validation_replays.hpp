// The replays of a validation: requests of published runs served again, their distributions
// compared.
#pragma once

#include <vector>

#include "sim/cli/validation_runs.hpp"
#include "sim/validate/replay.hpp"

namespace kvsim {

// Runs them, writes distributions.csv and quantiles.csv into the folder and prints a table. Returns
// an exit code; failures are told on standard error and do not stop the others.
[[nodiscard]] int run_replays(const ValidationRuns& how, const std::vector<Replay>& replays,
                              const std::vector<ValidationCase>& cases);

}  // namespace kvsim
