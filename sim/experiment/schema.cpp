#include "sim/experiment/schema.hpp"

#include "sim/base/registry.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/experiment/config.hpp"
#include "sim/experiment/variant_plan.hpp"
#include "sim/experiment/workload_assembly.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/connector.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {

namespace {

// A plug-in is its name, or an object with "kind" and that plug-in's options.
template <class Contract>
Json plugin_schema(const Json& own_keys = Json::object()) {
  Json choices = Json::array();
  Json names = Json::array();
  for (const auto& [name, entry] : Registry<Contract>::instance().entries()) {
    Json object = entry.schema();
    object["description"] = entry.help;
    object["properties"]["kind"] = {{"const", name}};
    for (const auto& key : own_keys.items()) object["properties"][key.key()] = key.value();
    names.push_back(name);
    choices.push_back(std::move(object));
  }
  choices.push_back({{"type", "string"}, {"enum", std::move(names)}});
  return {{"oneOf", std::move(choices)}};
}

Json text_schema(const char* description) {
  return {{"type", "string"}, {"description", description}};
}

}  // namespace

Json experiment_schema() {
  Json schema = schema_config<ExperimentConfig>();
  Json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "kvsim experiment"}};
  out.update(schema);
  Json& properties = out["properties"];
  properties["workload"] = workload_schema();
  properties["load"] = schema_config<LoadConfig>();
  const Json epp = text_schema("llm-d's EndpointPickerConfig, in place of our keys.");
  const Json dynamo = text_schema("Dynamo's command line or a file with it, in place of our keys.");
  properties["router"] =
      plugin_schema<Router>({{"view_refresh_s",
                              {{"type", "number"},
                               {"minimum", 0.0},
                               {"default", 0.05},
                               {"description", "Age that gauges may have; 0 = always fresh."}}}});
  properties["router"]["oneOf"].push_back(
      {{"type", "object"}, {"required", {"epp_yaml"}}, {"properties", {{"epp_yaml", epp}}}});
  properties["router"]["oneOf"].push_back({{"type", "object"},
                                           {"required", {"dynamo_args"}},
                                           {"properties", {{"dynamo_args", dynamo}}}});
  properties["epp_yaml"] = epp;
  properties["dynamo_args"] = dynamo;
  add_variants_schema(properties);
  Json& pool = properties["pools"]["items"]["properties"];
  pool["connector"] = plugin_schema<Connector>();
  pool["connector"]["oneOf"].push_back(
      {{"type", "object"},
       {"properties", {{"lmcache_yaml", text_schema("LMCache's file, in place of our keys.")}}},
       {"required", {"lmcache_yaml"}}});
  pool["vllm_args"] = text_schema("vLLM's command line or a file with it, in place of our keys.");
  pool["engine"]["properties"]["scheduler"] = plugin_schema<Scheduler>();
  pool["engine"]["properties"]["step_time"] = plugin_schema<StepTime>();
  out["required"] = {"schema", "workload", "pools"};
  return out;
}

}  // namespace kvsim
