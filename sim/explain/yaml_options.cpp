#include "sim/explain/yaml_options.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace kvsim {

namespace {

std::string scalar(const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  if (node.IsNull()) return "null";
  YAML::Emitter emitter;
  emitter.SetSeqFormat(YAML::Flow);
  emitter.SetMapFormat(YAML::Flow);
  emitter << node;
  return emitter.c_str();
}

void flatten(const YAML::Node& node, const std::string& prefix, std::vector<NamedValue>& out) {
  for (const auto& entry : node) {
    std::string name = scalar(entry.first);
    std::replace(name.begin(), name.end(), '-', '_');
    if (entry.second.IsMap()) {
      flatten(entry.second, prefix + name + ".", out);
    } else {
      out.push_back({prefix + name, scalar(entry.second)});
    }
  }
}

}  // namespace

std::vector<NamedValue> parse_yaml_options(const std::string& text, const std::string& name) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap() && !root.IsNull())
      throw ConfigError(fmt::format("{}: found no mapping; allowed: \"name: value\" lines", name));
    std::vector<NamedValue> out;
    flatten(root, "", out);
    return out;
  } catch (const YAML::Exception& error) {
    throw ConfigError(
        fmt::format("{}:{}:{}: {}", name, error.mark.line + 1, error.mark.column + 1, error.msg));
  }
}

}  // namespace kvsim
