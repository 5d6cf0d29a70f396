// kvsim: the command line. Only here do errors become exit codes.
#include <fmt/format.h>

#include <cstdio>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"

namespace {

int run(int argc, char** argv) {
  CLI::App app{"Simulates LLM serving clusters whose KV cache spills below GPU memory."};
  app.name("kvsim");
  app.set_version_flag("--version", "kvsim 0.1.0");
  app.require_subcommand(1);
  kvsim::add_run_command(app);
  kvsim::add_sweep_command(app);
  kvsim::add_compare_command(app);
  kvsim::add_size_command(app);
  kvsim::add_trace_command(app);
  kvsim::add_list_command(app);
  kvsim::add_schema_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kvsim::kExitOk : kvsim::kExitUser;
  }
  return kvsim::kExitOk;
}

int complain(const char* what, int code) {
  fmt::print(stderr, "kvsim: {}\n", what);
  return code;
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
  } catch (const std::exception& error) {
    return complain(fmt::format("internal error: {}", error.what()).c_str(), kvsim::kExitBug);
  }
}
