// A plug-in's configuration may hold keys of ours beside its own.
#pragma once

#include "sim/base/fields.hpp"

namespace kvsim {

// Reads our keys into `config`; returns the plug-in's, which is a name or an object.
template <class Config>
Json split_options(const ConfigNode& node, Config& config) {
  Json own = Json::object();
  Json options = node.json();
  const Json known = schema_config<Config>()["properties"];
  for (const auto& [key, value] : known.items()) {
    if (!options.is_object() || !options.contains(key)) continue;
    own[key] = options[key];
    options.erase(key);
  }
  config = read_config<Config>(ConfigNode(own, node.file(), node.path()));
  return options;
}

}  // namespace kvsim
