// The subcommands of `kvsim`, one file each. A command does its work in the callback that it gives
// to CLI11. Errors are exceptions (sim/base/errors.hpp); a command that has done its work and ends
// with another code than 0 throws CLI::RuntimeError(code), which main() turns into the exit code.
#pragma once

#include <CLI/CLI.hpp>

namespace kvsim {

void add_run_command(CLI::App& app);
void add_sweep_command(CLI::App& app);
void add_compare_command(CLI::App& app);
void add_calibrate_command(CLI::App& app);
void add_trace_command(CLI::App& app);
void add_size_command(CLI::App& app);
void add_fit_command(CLI::App& app);
void add_explain_command(CLI::App& app);
void add_validate_command(CLI::App& app);
void add_list_command(CLI::App& app);
void add_schema_command(CLI::App& app);

}  // namespace kvsim
