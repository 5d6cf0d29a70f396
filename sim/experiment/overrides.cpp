// --set /json/pointer=value, applied to the file's JSON before anything is checked.
#include <fmt/format.h>

#include <filesystem>

#include "sim/experiment/calibrated.hpp"
#include "sim/experiment/real_configurations.hpp"
#include "sim/experiment/simulation.hpp"

namespace kvsim {

namespace {

// Values that name files are relative to the working directory on the command line, and to the
// configuration's folder inside it: made absolute here. A profile may be a name or a .json file.
bool names_a_file(const std::string& pointer, const std::string& value) {
  for (const char* key :
       {"/path", "/file", "/kvrocks_conf", "/redis_conf", "/lmcache_yaml", "/profile"})
    if (pointer.ends_with(key)) return true;
  if (pointer.ends_with("/vllm_args")) return std::filesystem::is_regular_file(value);
  for (const char* key : {"/llm", "/gpu", "/prices"})
    if (pointer.ends_with(key)) return value.ends_with(".json");
  return false;
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
  try {
    const Json::json_pointer at(pointer);
    const Json::json_pointer parent = at.parent_pointer();
    if (!parent.empty() && json.contains(parent) && !json.at(parent).is_structured())
      throw ConfigError(
          fmt::format("--set: {}: found a value without parts at {}; allowed: the "
                      "path of an object or list",
                      pointer, parent.to_string()));
    if (json.contains(parent) && json.at(parent).is_array()) {
      const Json& list = json.at(parent);
      const std::string last = at.back();
      const bool whole = !last.empty() && last.find_first_not_of("0123456789") == std::string::npos;
      if (!whole || last.size() > 9 || std::stoul(last) > list.size())
        throw ConfigError(fmt::format("--set: {}: found index \"{}\"; allowed: 0 to {}", pointer,
                                      last, list.size()));
    }
    json[at] = std::move(value);
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(fmt::format("--set: found \"{}\"; allowed: /json/pointer=value", pointer));
  }
}

}  // namespace

Json load_experiment(const std::string& file, const std::vector<std::string>& overrides) {
  Json json = load_json(file);
  for (const std::string& text : overrides) apply(json, text);
  json = with_real_configurations(std::move(json), file);
  const Calibrations calibrations = load_calibrations(json, file);
  return with_calibrations(std::move(json), calibrations);
}

}  // namespace kvsim
