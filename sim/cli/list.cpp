// kvsim list: the registered plug-ins and the profiles in models/.
// kvsim schema: JSON Schema of an experiment and of the options of every plug-in.
#include <fmt/format.h>

#include "sim/base/registry.hpp"
#include "sim/cli/commands.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/experiment/schema.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/perf/step_time.hpp"
#include "sim/store/disk.hpp"
#include "sim/store/store.hpp"
#include "sim/workload/trace_format.hpp"

namespace kvsim {

namespace {

template <class Contract>
void list_plugins() {
  fmt::print("{}:\n", Contract::kPlugin);
  for (const auto& [name, entry] : Registry<Contract>::instance().entries())
    fmt::print("  {:<18} {}\n", name, entry.help);
}

void list_everything() {
  list_plugins<Router>();
  list_plugins<Scheduler>();
  list_plugins<Connector>();
  list_plugins<Eviction>();
  list_plugins<StepTime>();
  list_plugins<TraceFormat>();
  list_plugins<Disk>();
  list_plugins<Store>();
  list_plugins<ConfigFormat>();
  for (const char* kind : {"llm", "gpu", "disk", "engine", "prices"})
    fmt::print("models/{}:\n  {}\n", kind, join_names(model_names(kind)));
}

}  // namespace

void add_list_command(CLI::App& app) {
  app.add_subcommand("list", "Lists plug-ins and profiles.")->callback(list_everything);
}

void add_schema_command(CLI::App& app) {
  app.add_subcommand("schema", "Prints the JSON Schema of experiments.")->callback([] {
    fmt::print("{}\n", experiment_schema().dump(2));
  });
}

}  // namespace kvsim
