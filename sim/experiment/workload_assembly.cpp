#include "sim/experiment/workload_assembly.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "sim/workload/generator.hpp"
#include "sim/workload/open_trace.hpp"

namespace kvsim {

namespace {

// A workload with a "path" is a trace, any other is generated.
struct TraceWorkload {
  std::string path;
  std::string format = "auto";
  Json options = Json::object();

  template <class F>
  void fields(F& f) {
    f.path("path", path, "A trace file; plain, gzip or LZ4.");
    f.optional("format", format, "The trace's format; auto = told by its first bytes.");
    f.optional("options", options, "Options of that format.");
  }
};

bool is_trace(const ConfigNode& workload) { return workload.has("path"); }

}  // namespace

LoadConfig read_load(const ConfigNode& experiment, const Json& load) {
  return read_config<LoadConfig>(ConfigNode(load, experiment.file(), experiment.path() + "/load"));
}

std::unique_ptr<RequestSource> open_workload(const ConfigNode& workload, std::uint64_t seed) {
  if (!is_trace(workload)) return make_generator(read_config<GeneratorConfig>(workload), seed);
  const auto config = read_config<TraceWorkload>(workload);
  TraceSpec spec;
  spec.path = config.path;
  spec.format = config.format;
  spec.options = config.options;
  spec.config_file = workload.file();
  spec.config_path = workload.path();
  spec.warn = [](const std::string& text) { fmt::print(stderr, "kvsim: {}\n", text); };
  return open_trace(spec);
}

std::unique_ptr<RequestSource> make_source(const ConfigNode& experiment, const LoadConfig& load,
                                           std::uint64_t seed) {
  return with_arrivals(open_workload(experiment.at("workload"), seed), load.arrivals, seed);
}

std::optional<std::int64_t> known_requests(const ConfigNode& experiment) {
  const ConfigNode workload = experiment.at("workload");
  if (is_trace(workload)) return std::nullopt;
  return read_config<GeneratorConfig>(workload).known_requests();
}

Json resolve_workload(const ConfigNode& experiment) {
  const ConfigNode workload = experiment.at("workload");
  if (is_trace(workload)) return echo_config(read_config<TraceWorkload>(workload));
  return echo_config(read_config<GeneratorConfig>(workload));
}

Json workload_schema() {
  return {{"oneOf", {schema_config<TraceWorkload>(), schema_config<GeneratorConfig>()}}};
}

}  // namespace kvsim
