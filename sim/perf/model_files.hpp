// Finds the JSON profiles of models/: models/<kind>/<name>.json. The folder is the one compiled in
// (KVSIM_MODELS_DIR, the source tree's), or the environment's KVSIM_MODELS when that is set.
#pragma once

#include <string>
#include <vector>

#include "sim/base/fields.hpp"

namespace kvsim {

// The models/ folder in use.
std::string models_folder();

// Names of the profiles of a kind ("llm", "gpu", "prices", "engine"), sorted.
std::vector<std::string> model_names(const std::string& kind);

// The file that `name` means: a path ending in .json (or .json#/pointer), the name of a profile in
// any letter case, or one of a profile's "aliases" (e.g. a model hub's name). Aliases cost one read
// of every file of the kind. Throws ConfigError that lists the known names.
std::string find_model(const std::string& kind, const std::string& name);

// The JSON of a model file, or of a part of one: "file.json#/pointer". An experiment's overrides
// are laid over it (model_overlay.hpp).
Json load_model(const std::string& file);

// Reads a profile strictly. Profile is a struct
// with fields() and check(node), which throws ConfigError on contradictions.
template <class Profile>
Profile load_profile(const std::string& kind, const std::string& name) {
  const std::string file = find_model(kind, name);
  const Json json = load_model(file);
  const ConfigNode node(json, file);
  node.expect_object();
  if (!node.has("schema")) node.fail("no \"schema\"", "an object with \"schema\"");
  Profile profile = read_config<Profile>(node);
  profile.check(node);
  return profile;
}

}  // namespace kvsim
