#include "sim/experiment/workload_assembly.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "sim/experiment/complaints.hpp"
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

TraceSpec trace_spec(const ConfigNode& workload) {
  const auto config = read_config<TraceWorkload>(workload);
  if (std::filesystem::is_fifo(config.path) || std::filesystem::is_character_file(config.path))
    workload.at("path").fail(config.path + ", a pipe or device",
                             "a file: it is read twice, to check it and to run it");
  TraceSpec spec;
  spec.path = config.path;
  spec.format = config.format;
  spec.options = config.options;
  spec.config_file = workload.file();
  spec.config_path = workload.path();
  spec.warn = [](const std::string& text) { fmt::print(stderr, "kvsim: {}\n", text); };
  return spec;
}

}  // namespace

LoadConfig read_load(const ConfigNode& experiment, const Json& load) {
  return read_config<LoadConfig>(ConfigNode(load, experiment.file(), experiment.path() + "/load"));
}

std::unique_ptr<RequestSource> open_workload(const ConfigNode& workload, std::uint64_t seed) {
  if (!is_trace(workload)) {
    const auto config = read_config<GeneratorConfig>(workload);
    return named_by(workload.file(), [&] { return make_generator(config, seed); });
  }
  return open_trace(trace_spec(workload));
}

std::unique_ptr<RequestSource> make_source(const ConfigNode& experiment, const LoadConfig& load,
                                           std::uint64_t seed) {
  auto workload = open_workload(experiment.at("workload"), seed);
  return named_by(experiment.file(),
                  [&] { return with_arrivals(std::move(workload), load.arrivals, seed); });
}

std::optional<std::int64_t> count_requests(const ConfigNode& experiment, const LoadConfig& load,
                                           std::uint64_t seed) {
  const ConfigNode workload = experiment.at("workload");
  if (!is_trace(workload)) {
    const auto known = read_config<GeneratorConfig>(workload).known_requests();
    const ArrivalConfig& arrivals = load.arrivals;
    if (!known || arrivals.duration || !arrivals.stages.empty()) return std::nullopt;
    return std::min(*known, arrivals.max_requests.value_or(*known));
  }
  TraceSpec spec = trace_spec(workload);
  spec.warn = [](const std::string&) {};  // the run will say it
  const auto source = with_arrivals(open_trace(spec), load.arrivals, seed);
  std::int64_t count = 0;
  for (Request request; source->next(request);) ++count;
  return count;
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
