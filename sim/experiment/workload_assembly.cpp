#include "sim/experiment/workload_assembly.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "sim/experiment/complaints.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/workload/generator.hpp"
#include "sim/workload/mix_source.hpp"
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

// One workload of a mix.
struct MixPartConfig {
  std::optional<double> share;
  std::string llm;
  std::string tenant;
  std::optional<std::int64_t> priority;
  Json workload;

  template <class F>
  void fields(F& f) {
    f.optional("share", share, Range{1e-9, 1e9},
               "Of the requests, in relation to the other parts'. For all parts or for none: then "
               "they come at their own times.");
    f.optional("llm", llm, "Which pools' LLM it asks for. Default: the first pool's.");
    f.optional("tenant", tenant, "Whose it is; parts of one name are one tenant's.");
    f.optional("priority", priority, Range{-1e6, 1e6},
               "Lower is served first. Default: the workload's own.");
    f.required("workload", workload, "A trace or a generator.");
  }
};

struct MixConfig {
  std::string kind = "mix";
  std::vector<MixPartConfig> parts;
  std::optional<std::int64_t> requests;

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, {"mix"}, "What this workload is.");
    f.required("parts", parts, "Workloads that run beside each other.");
    f.optional("requests", requests, Range{1, 1e12}, "Most in all. Default: those of all parts.");
  }
};

bool is_trace(const ConfigNode& workload) { return workload.has("path"); }
bool is_mix(const ConfigNode& workload) {
  return workload.has("kind") && workload.at("kind").json() == "mix";
}

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

// Generators and arrival processes complain of paths below /workload and /load: `usual`.
template <class Body>
auto at_its_path(std::string_view usual, const std::string& path, const Body& body) {
  try {
    return body();
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    if (!what.starts_with(usual)) throw;
    throw ConfigError(path + what.substr(usual.size()));
  }
}

std::unique_ptr<RequestSource> open_part(const ConfigNode& workload, const GeneratorSeeds& seeds,
                                         bool warn) {
  if (is_trace(workload)) {
    TraceSpec spec = trace_spec(workload);
    if (!warn) spec.warn = [](const std::string&) {};  // the run says it
    return open_trace(spec);
  }
  const auto config = read_config<GeneratorConfig>(workload);
  return named_by(workload.file(), [&] {
    return at_its_path("/workload", workload.path(), [&] { return make_generator(config, seeds); });
  });
}

Json resolve_part(const ConfigNode& workload) {
  if (is_trace(workload)) return echo_config(read_config<TraceWorkload>(workload));
  return echo_config(read_config<GeneratorConfig>(workload));
}

MixConfig read_mix(const ConfigNode& workload) {
  auto config = read_config<MixConfig>(workload);
  const ConfigNode parts = workload.at("parts");
  if (config.parts.empty() || config.parts.size() > kMostMixParts)
    parts.fail(fmt::format("{} parts", config.parts.size()), fmt::format("1 to {}", kMostMixParts));
  for (std::size_t i = 0; i < config.parts.size(); ++i) {
    if (config.parts[i].share.has_value() != config.parts.front().share.has_value())
      parts.at(i).fail(config.parts[i].share ? "a share, unlike the first" : "no share",
                       "a share for every part, or for none");
    parts.at(i).at("workload").expect_object();
    if (is_mix(parts.at(i).at("workload")))
      parts.at(i).at("workload").fail("a mix in a mix", "a trace or a generator");
  }
  return config;
}

// A profile's own name, whatever an experiment calls it.
std::string llm_name(const ConfigNode& llm) {
  std::string name = llm.text();
  if (name.ends_with(".json")) name = llm.resolve_path(name);
  return named_by(llm.file() + ": " + llm.path(), [&] {
    const Json profile = load_model(find_model("llm", name));
    return profile.contains("name") ? profile.at("name").get<std::string>() : name;
  });
}

// The LLMs of an experiment by Request::llm: in the order of the pools.
std::vector<std::string> llms_of(const ConfigNode& experiment) {
  std::vector<std::string> out;
  if (!experiment.has("pools")) return out;
  const ConfigNode pools = experiment.at("pools");
  pools.expect_array();
  for (std::size_t i = 0; i < pools.json().size(); ++i) {
    if (!pools.at(i).has("llm")) continue;
    const std::string name = llm_name(pools.at(i).at("llm"));
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

std::int32_t number_of(const std::string& name, std::vector<std::string>& names) {
  const auto at = std::find(names.begin(), names.end(), name);
  const auto number = static_cast<std::int32_t>(at - names.begin());
  if (at == names.end()) names.push_back(name);
  return number;
}

std::unique_ptr<RequestSource> open_mix(const ConfigNode& workload, const GeneratorSeeds& seeds,
                                        const std::vector<std::string>& llms, bool warn) {
  const MixConfig config = read_mix(workload);
  std::vector<std::string> tenants;
  std::vector<MixPart> parts;
  for (std::size_t i = 0; i < config.parts.size(); ++i) {
    const MixPartConfig& part = config.parts[i];
    const ConfigNode node = workload.at("parts").at(i);
    MixPart out;
    out.source = open_part(node.at("workload"),
                           {mix_part_seed(seeds.draws, i), mix_part_seed(seeds.prefixes, i)}, warn);
    out.share = part.share.value_or(0);
    out.tenant = number_of(part.tenant, tenants);
    if (part.priority) out.priority = static_cast<std::int32_t>(*part.priority);
    if (!part.llm.empty()) {
      const auto at = std::find(llms.begin(), llms.end(), llm_name(node.at("llm")));
      if (at == llms.end())
        node.at("llm").fail(node.at("llm").found(), "the LLM of a pool: " + join_names(llms));
      out.llm = static_cast<std::int32_t>(at - llms.begin());
    }
    parts.push_back(std::move(out));
  }
  MixOptions options;
  options.by_time = !config.parts.front().share;
  options.requests = config.requests.value_or(options.requests);
  return make_mix(std::move(parts), options, seeds.draws);
}

std::unique_ptr<RequestSource> open_workload(const ConfigNode& workload,
                                             const GeneratorSeeds& seeds,
                                             const std::vector<std::string>& llms, bool warn) {
  return is_mix(workload) ? open_mix(workload, seeds, llms, warn)
                          : open_part(workload, seeds, warn);
}

// Of a trace or a mix with one: it is read.
bool must_be_read(const ConfigNode& workload) {
  if (!is_mix(workload)) return is_trace(workload);
  for (const MixPartConfig& part : read_mix(workload).parts)
    if (is_trace(ConfigNode(part.workload, workload.file()))) return true;
  return false;
}

std::optional<std::int64_t> known_requests(const ConfigNode& workload) {
  if (!is_mix(workload)) return read_config<GeneratorConfig>(workload).known_requests();
  const MixConfig mix = read_mix(workload);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < mix.parts.size(); ++i) {
    const auto known = known_requests(workload.at("parts").at(i).at("workload"));
    if (!known) return std::nullopt;
    sum += *known;
  }
  return std::min(sum, mix.requests.value_or(sum));
}

// Traces may name LLMs that no pool has.
void check_llm(const Request& request, const ConfigNode& workload,
               const std::vector<std::string>& llms) {
  if (request.llm >= 0 &&
      static_cast<std::size_t>(request.llm) < std::max<std::size_t>(llms.size(), 1))
    return;
  workload.fail(fmt::format("request {} for the LLM {}", request.id, request.llm),
                fmt::format("LLMs from 0, of pools with {} of them", llms.size()));
}

}  // namespace

std::optional<Seconds> LoadConfig::asked_duration() const {
  std::optional<Seconds> out = arrivals.duration;
  if (arrivals.stages.empty()) return out;
  Seconds rates{0};
  for (const RateStage& stage : arrivals.stages) rates += stage.duration;
  return out ? std::min(*out, rates) : rates;
}

LoadConfig read_load(const ConfigNode& experiment, const Json& load) {
  const ConfigNode node(load, experiment.file(), experiment.path() + "/load");
  const auto out = read_config<LoadConfig>(node);
  if (out.at_end == "cancel" && !out.asked_duration())
    node.fail("at_end \"cancel\" without an end", "it together with duration_s");
  return out;
}

std::unique_ptr<RequestSource> make_source(const ConfigNode& experiment, const LoadConfig& load,
                                           const GeneratorSeeds& seeds) {
  auto workload =
      open_workload(experiment.at("workload"), seeds, llms_of(experiment), /*warn=*/true);
  return named_by(experiment.file(), [&] {
    return at_its_path("/load", experiment.path() + "/load", [&] {
      return with_arrivals(std::move(workload), load.arrivals, seeds.draws);
    });
  });
}

std::optional<std::int64_t> count_requests(const ConfigNode& experiment, const LoadConfig& load,
                                           const GeneratorSeeds& seeds) {
  const ConfigNode workload = experiment.at("workload");
  const ArrivalConfig& arrivals = load.arrivals;
  if (!must_be_read(workload)) {
    const auto known = known_requests(workload);
    if (!known || arrivals.duration || !arrivals.stages.empty()) return std::nullopt;
    return std::min(*known, arrivals.max_requests.value_or(*known));
  }
  const std::vector<std::string> llms = llms_of(experiment);
  const auto source =
      with_arrivals(open_workload(workload, seeds, llms, /*warn=*/false), arrivals, seeds.draws);
  std::int64_t count = 0;
  for (Request request; source->next(request); ++count) check_llm(request, workload, llms);
  if (arrivals.duration && load.clients() > 0) return std::nullopt;
  return count;
}

Json resolve_workload(const ConfigNode& experiment) {
  const ConfigNode workload = experiment.at("workload");
  if (!is_mix(workload)) return resolve_part(workload);
  const MixConfig mix = read_mix(workload);
  Json out = echo_config(mix);
  for (std::size_t i = 0; i < mix.parts.size(); ++i)
    out["parts"][i]["workload"] = resolve_part(workload.at("parts").at(i).at("workload"));
  return out;
}

Json workload_schema() {
  const Json alone = {
      {"oneOf", {schema_config<TraceWorkload>(), schema_config<GeneratorConfig>()}}};
  Json mix = schema_config<MixConfig>();
  mix["properties"]["parts"]["items"]["properties"]["workload"] = alone;
  Json out = alone;
  out["oneOf"].push_back(std::move(mix));
  return out;
}

}  // namespace kvsim
