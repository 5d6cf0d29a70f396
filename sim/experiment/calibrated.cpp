#include "sim/experiment/calibrated.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/base/config_node.hpp"
#include "sim/calibrate/calibration.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/llm_profile.hpp"

namespace kvsim {

namespace {

// `under` where `over` says nothing, object by object.
void put_under(Json& over, const Json& under) {
  if (over.is_null()) {
    over = under;
    return;
  }
  if (!over.is_object() || !under.is_object()) return;
  for (const auto& [key, value] : under.items()) put_under(over[key], value);
}

const Json* part_of(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() ? nullptr : &*found;
}

std::string text_in(const Json& json, const char* key, const std::string& otherwise) {
  const Json* part = part_of(json, key);
  return part != nullptr && part->is_string() ? part->get<std::string>() : otherwise;
}

// A plug-in as an object, whichever way it is written.
Json& opened(Json& plugin) {
  if (plugin.is_string()) plugin = {{"kind", plugin.get<std::string>()}};
  return plugin;
}

void lay_disks(Json& experiment, Json& node, const Json& measured, const std::string& by) {
  if (!node.contains("disks") || !node["disks"].is_array()) return;
  for (Json& disk : node["disks"]) {
    const std::string kind = text_in(disk, "kind", "");
    if (kind != "nvme" && kind != "raid0" && kind != "cloud-volume") continue;
    Json replaced = measured;
    replaced["name"] = disk.value("name", Json());
    experiment["warnings"].push_back(fmt::format("disk {}: as measured by {}, in place of {}",
                                                 replaced["name"].dump(), by, kind));
    disk = std::move(replaced);
  }
}

void lay_nodes(Json& experiment, const Calibrations& calibrations) {
  const Json* cpu = part_of(calibrations.figures, "cpu");
  const Json* disk = part_of(calibrations.figures, "disk");
  if (cpu == nullptr && disk == nullptr) return;
  if (!experiment.contains("nodes")) experiment["nodes"] = Json::array({Json::object()});
  if (!experiment["nodes"].is_array()) return;
  Json nodes = experiment["nodes"];
  for (Json& node : nodes) {
    if (!node.is_object()) continue;
    if (cpu != nullptr) put_under(node["cpu"], *cpu);
    if (disk != nullptr)
      lay_disks(experiment, node, *disk, "calibration " + join_names(calibrations.names));
  }
  experiment["nodes"] = std::move(nodes);
}

void lay_stores(Json& experiment, const Json& figures) {
  const Json* stores = part_of(figures, "stores");
  if (stores == nullptr || !experiment.contains("stores") || !experiment["stores"].is_array())
    return;
  for (Json& store : experiment["stores"])
    if (const Json* under = part_of(*stores, text_in(store, "kind", "").c_str()))
      put_under(store, *under);
}

// What is encoded: "" when the pool does not tell, which is complained of later.
std::string kv_dtype_of(const Json& pool) {
  if (const Json* engine = part_of(pool, "engine"))
    if (const std::string stated = text_in(*engine, "kv_cache_dtype", ""); !stated.empty())
      return stated;
  try {
    return load_llm(text_in(pool, "llm", "")).kv_dtype;
  } catch (const ConfigError&) {
    return "";
  }
}

void lay_codec(Json& codec, const Json& figures, const std::string& kv_dtype) {
  const std::string kind =
      codec.is_string() ? codec.get<std::string>() : text_in(codec, "kind", "");
  const Json* codecs = part_of(figures, "codecs");
  const Json* types = codecs == nullptr ? nullptr : part_of(*codecs, kind.c_str());
  const Json* under = types == nullptr ? nullptr : part_of(*types, kv_dtype.c_str());
  if (under != nullptr) put_under(opened(codec), *under);
}

void lay_connector(Json& pool, const Json& figures) {
  Json& connector = opened(pool["connector"]);
  if (!connector.is_object()) return;
  const Json* clients = part_of(figures, "clients");
  if (clients != nullptr && text_in(connector, "kind", "") == "lmcache")
    if (const Json* client = part_of(*clients, text_in(connector, "client", "redis").c_str()))
      put_under(connector["client_costs"], *client);
  const std::string kv_dtype = kv_dtype_of(pool);
  for (const char* key : {"serde", "codec"})
    if (connector.contains(key)) lay_codec(connector[key], figures, kv_dtype);
}

// A measured GPU replaces the profile of its name.
void lay_gpu(Json& pool, const Calibrations& calibrations) {
  const Json* gpus = part_of(calibrations.figures, "gpus");
  if (gpus == nullptr || !pool.contains("gpu")) return;
  try {
    const std::string name = load_gpu(text_in(pool, "gpu", "")).name;
    if (gpus->contains(name)) pool["gpu"] = calibrations.files.back() + "#/figures/gpus/" + name;
  } catch (const ConfigError&) {
    return;  // complained of later
  }
}

}  // namespace

Calibrations load_calibrations(const Json& experiment, const std::string& file) {
  Calibrations out;
  const Json* profile = part_of(experiment, "profile");
  if (profile == nullptr) return out;
  const ConfigNode root(experiment, file);
  const ConfigNode node = root.at("profile");
  const auto add = [&](const ConfigNode& one) {
    const std::string path = one.resolve_path(one.text());
    CalibrationFigures read = load_calibration(path);
    out.files.push_back(path);
    out.names.push_back(read.name);
    put_under(read.figures, out.figures);
    out.figures = std::move(read.figures);
  };
  if (profile->is_string()) {
    add(node);
  } else {
    node.expect_array();
    for (std::size_t i = 0; i < profile->size(); ++i) add(node.at(i));
  }
  return out;
}

Json with_calibrations(Json experiment, const Calibrations& calibrations) {
  if (calibrations.files.empty() || !experiment.is_object()) return experiment;
  lay_nodes(experiment, calibrations);
  lay_stores(experiment, calibrations.figures);
  if (const Json* network = part_of(calibrations.figures, "network"))
    put_under(experiment["network"], *network);
  if (experiment.contains("pools") && experiment["pools"].is_array()) {
    for (Json& pool : experiment["pools"]) {
      if (!pool.is_object()) continue;
      if (pool.contains("connector")) lay_connector(pool, calibrations.figures);
      lay_gpu(pool, calibrations);
    }
  }
  return experiment;
}

}  // namespace kvsim
