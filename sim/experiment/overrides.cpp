// --set /json/pointer=value and the values of a variant, applied to the file's JSON before anything
// is checked.
#include <fmt/format.h>

#include <filesystem>

#include "sim/experiment/calibrated.hpp"
#include "sim/experiment/real_configurations.hpp"
#include "sim/experiment/simulation.hpp"
#include "sim/experiment/variant_plan.hpp"

namespace kvsim {

namespace {

// Values that name files are relative to the working directory on the command line, and to the
// configuration's folder inside it: made absolute here. A profile may be a name or a .json file.
bool names_a_file(const std::string& pointer, const std::string& value) {
  for (const char* key :
       {"/path", "/file", "/kvrocks_conf", "/redis_conf", "/lmcache_yaml", "/epp_yaml", "/profile"})
    if (pointer.ends_with(key)) return true;
  for (const char* key : {"/vllm_args", "/dynamo_args"})
    if (pointer.ends_with(key)) return std::filesystem::is_regular_file(value);
  for (const char* key : {"/llm", "/gpu", "/prices"})
    if (pointer.ends_with(key)) return value.ends_with(".json");
  return false;
}

// `place` is for messages: "--set", or a variant's.
void set_value(Json& json, const std::string& pointer, Json value, const std::string& place) {
  try {
    const Json::json_pointer at(pointer);
    const Json::json_pointer parent = at.parent_pointer();
    if (!parent.empty() && json.contains(parent) && !json.at(parent).is_structured())
      throw ConfigError(
          fmt::format("{}: {}: found a value without parts at {}; allowed: the "
                      "path of an object or list",
                      place, pointer, parent.to_string()));
    if (json.contains(parent) && json.at(parent).is_array()) {
      const Json& list = json.at(parent);
      const std::string& last = at.back();
      const bool whole = !last.empty() && last.find_first_not_of("0123456789") == std::string::npos;
      if (!whole || last.size() > 9 || std::stoul(last) > list.size())
        throw ConfigError(fmt::format("{}: {}: found index \"{}\"; allowed: 0 to {}", place,
                                      pointer, last, list.size()));
    }
    json[at] = std::move(value);
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(
        fmt::format("{}: found \"{}\"; allowed: /json/pointer=value", place, pointer));
  }
}

void apply(Json& json, const std::string& override_text) {
  const std::size_t equals = override_text.find('=');
  if (equals == std::string::npos || override_text.empty() || override_text[0] != '/')
    throw ConfigError(
        fmt::format("--set: found \"{}\"; allowed: /json/pointer=value", override_text));
  const std::string pointer = override_text.substr(0, equals);
  const std::string text = override_text.substr(equals + 1);
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = text;
  if (value.is_string() && names_a_file(pointer, value.get<std::string>()))
    value = std::filesystem::absolute(value.get<std::string>()).lexically_normal().string();
  set_value(json, pointer, std::move(value), "--set");
}

// What a variant names is relative to the file, as everything in it.
void choose(Json& json, const std::string& file, const std::string& name) {
  const std::vector<Variant> variants = read_variants(ConfigNode(json, file));
  json.erase("variants");
  json.erase("variants_of");
  if (name.empty()) return;
  std::vector<std::string> known;
  for (const Variant& variant : variants) {
    known.push_back('"' + variant.name + '"');
    if (variant.name != name) continue;
    for (const auto& item : variant.set.items())
      set_value(json, item.key(), item.value(), fmt::format("{}: variant \"{}\"", file, name));
    return;
  }
  throw ConfigError(fmt::format("--variant: found \"{}\"; allowed: {}", name,
                                known.empty() ? "none, the file has none" : join_names(known)));
}

}  // namespace

Json load_experiment(const std::string& file, const std::vector<std::string>& overrides,
                     const std::string& variant) {
  Json json = load_json(file);
  if (json.is_object()) choose(json, file, variant);
  for (const std::string& text : overrides) apply(json, text);
  json = with_real_configurations(std::move(json), file);
  const Calibrations calibrations = load_calibrations(json, file);
  return with_calibrations(std::move(json), calibrations);
}

}  // namespace kvsim
