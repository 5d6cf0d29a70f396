#include "sim/perf/model_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "sim/perf/model_overlay.hpp"
#include "sim/perf/provenance.hpp"

namespace kvsim {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool has_alias(const std::string& file, const std::string& wanted) {
  const Json json = load_json(file);
  if (!json.is_object() || !json.contains("aliases") || !json["aliases"].is_array()) return false;
  return std::any_of(json["aliases"].begin(), json["aliases"].end(), [&](const Json& alias) {
    return alias.is_string() && lower(alias.get<std::string>()) == wanted;
  });
}

}  // namespace

void require_provenance(const ConfigNode& node, const Provenance& provenance) {
  if (provenance.kind.empty())
    node.fail("no \"kind\"", "measured, fitted, datasheet, paper or assumed");
  if (provenance.source.empty()) node.fail("an empty \"source\"", "where the numbers come from");
}

std::string models_folder() {
  // The user's own setting beats the folder of the build.
  if (const char* set = std::getenv("KVSIM_MODELS"); set != nullptr && *set != '\0') return set;
  return KVSIM_MODELS_DIR;
}

std::vector<std::string> model_names(const std::string& kind) {
  std::vector<std::string> names;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(models_folder()) / kind;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string find_model(const std::string& kind, const std::string& name) {
  if (name.ends_with(".json") || name.find(".json#/") != std::string::npos) return name;
  const std::string wanted = lower(name);
  const std::vector<std::string> names = model_names(kind);
  const auto file_of = [&](const std::string& stem) {
    return (std::filesystem::path(models_folder()) / kind / (stem + ".json")).string();
  };
  for (const std::string& known : names)
    if (lower(known) == wanted) return file_of(known);
  for (const std::string& known : names)
    if (has_alias(file_of(known), wanted)) return file_of(known);
  throw ConfigError(
      fmt::format("{} \"{}\": found no such profile in {}; allowed: {}, or a .json file", kind,
                  name, models_folder(), join_names(names)));
}

Json load_model(const std::string& file) {
  constexpr std::size_t kEnding = 5;  // ".json"
  const std::size_t hash = file.find(".json#/");
  const std::string whole = hash == std::string::npos ? file : file.substr(0, hash + kEnding);
  Json json = load_json(whole);
  lay_over(json, whole);
  if (hash == std::string::npos) return json;
  const Json::json_pointer part(file.substr(hash + kEnding + 1));
  if (!json.contains(part))
    throw ConfigError(
        fmt::format("{}: found no such part; allowed: a JSON pointer into the file", file));
  return json.at(part);
}

}  // namespace kvsim
