// kvsim: the command line. Only here do errors become exit codes.
#include <fmt/format.h>

#include <cstdio>
#include <new>
#include <string>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"

namespace {

int complain(const std::string& what, int code) {
  fmt::print(stderr, "kvsim: {}\n", what);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{"Simulates LLM serving clusters whose KV cache spills below GPU memory."};
  app.name("kvsim");
  app.set_version_flag("--version", "kvsim 0.1.0");
  app.require_subcommand(1);
  kvsim::add_run_command(app);
  kvsim::add_sweep_command(app);
  kvsim::add_compare_command(app);
  kvsim::add_size_command(app);
  kvsim::add_fit_command(app);
  kvsim::add_calibrate_command(app);
  kvsim::add_explain_command(app);
  kvsim::add_trace_command(app);
  kvsim::add_validate_command(app);
  kvsim::add_list_command(app);
  kvsim::add_schema_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::string unknown;
    for (const std::string& argument : app.remaining(/*recurse=*/true))
      unknown += fmt::format("found \"{}\"; ", argument);
    return complain(fmt::format("{}{} (--help tells what is allowed)", unknown, error.what()),
                    kvsim::kExitUser);
  }
  return kvsim::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const kvsim::ConfigError& error) {
    return complain(error.what(), kvsim::kExitUser);
  } catch (const kvsim::TraceError& error) {
    return complain(error.what(), kvsim::kExitUser);
  } catch (const kvsim::EnvironmentError& error) {
    return complain(error.what(), kvsim::kExitEnvironment);
  } catch (const kvsim::CheckFailure& error) {
    return complain(error.what(), kvsim::kExitBug);
  } catch (const std::bad_alloc&) {
    return complain("this machine has too little memory for that", kvsim::kExitEnvironment);
  } catch (const std::exception& error) {
    return complain(fmt::format("internal error: {}", error.what()), kvsim::kExitBug);
  }
}
