#include "sim/experiment/real_configurations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/experiment/complaints.hpp"
#include "sim/explain/translate.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct Source {
  const char* key;     // in an experiment
  const char* format;  // of sim/explain
  bool inline_text;    // the value may be the text itself
};
constexpr Source kKvrocks{"kvrocks_conf", "kvrocks", false};
constexpr Source kRedis{"redis_conf", "redis", false};
constexpr Source kLmcache{"lmcache_yaml", "lmcache", false};
constexpr Source kVllm{"vllm_args", "vllm", true};
constexpr Source kEpp{"epp_yaml", "epp", false};
constexpr Source kDynamo{"dynamo_args", "dynamo", true};

// `over` into `under`, object by object. A part of another kind is taken whole: its keys are
// others.
void put_over(Json& under, const Json& over) {
  const bool both = under.is_object() && over.is_object();
  const bool other_kind =
      both && under.contains("kind") && over.contains("kind") && under["kind"] != over["kind"];
  if (!both || other_kind) {
    under = over;
    return;
  }
  for (const auto& [key, value] : over.items()) put_over(under[key], value);
}

// A store's kind stands for a variant of the same family (valkey reads redis.conf): its keys stay.
void put_store_over(Json& under, const Json& over) {
  if (over.contains("kind")) under["kind"] = over["kind"];
  put_over(under, over);
}

class Translation {
 public:
  Translation(const Json& experiment, const std::string& file) : root_(experiment, file) {}

  // Replaces `part`, the value at `path`, when it names a file of this kind.
  bool replace(const Source& source, Json& part, const std::string& path) {
    if (!part.is_object() || !part.contains(source.key)) return false;
    const ConfigNode node(part, root_.file(), path);
    const std::string value = node.at(source.key).text();
    const std::string resolved = root_.resolve_path(value);
    std::error_code ignored;
    const bool is_file = !source.inline_text || fs::is_regular_file(resolved, ignored);
    const Explanation explanation = named_by(root_.file() + ": " + path + "/" + source.key, [&] {
      return is_file ? explain_file(source.format, resolved)
                     : explain_text(source.format, value, source.key);
    });
    const std::string name = is_file ? value : source.key;
    refuse(explanation, root_.file() + ": " + path + "/" + source.key + ": " + name);
    warn(explanation, name);
    Json ours = part;
    ours.erase(source.key);
    part = explanation.config;
    &source == &kKvrocks || &source == &kRedis ? put_store_over(part, ours) : put_over(part, ours);
    return true;
  }

  std::vector<std::string> warnings;

 private:
  static void refuse(const Explanation& explanation, const std::string& place) {
    for (const Explained& option : explanation.options)
      if (option.effect == Effect::kRefused)
        throw ConfigError(fmt::format("{}: {}: found \"{}\"; {}", place, option.option,
                                      option.value, option.text));
  }

  void warn(const Explanation& explanation, const std::string& name) {
    for (const std::string& contradiction : explanation.contradictions)
      warnings.push_back(name + ": " + contradiction);
    for (const Effect effect : {Effect::kIgnoredByReal, Effect::kNotModelled, Effect::kUnknown}) {
      std::vector<std::string> options;
      for (const Explained& option : explanation.options)
        if (option.effect == effect) options.push_back(option.option);
      if (!options.empty())
        warnings.push_back(
            fmt::format("{}: {}: {}", name, effect_name(effect), join_names(options)));
    }
  }

  ConfigNode root_;
};

std::vector<std::string> names_of(const Json& experiment) {
  std::vector<std::string> out;
  if (!experiment.contains("stores") || !experiment["stores"].is_array()) return out;
  for (const Json& store : experiment["stores"])
    if (store.is_object() && store.contains("name") && store["name"].is_string())
      out.push_back(store["name"].get<std::string>());
  return out;
}

// LMCache's file knows an address, not what we call the store there.
void find_store(Json& connector, std::vector<std::string> names) {
  if (!connector.contains("remote")) return;
  const std::string remote = connector["remote"].get<std::string>();
  if (std::find(names.begin(), names.end(), remote) != names.end()) return;
  if (connector.contains("local_disk")) std::erase(names, connector["local_disk"]);
  if (names.size() == 1) connector["remote"] = names.front();
}

void replace_connector(Translation& translation, const Json& experiment, Json& pool,
                       const std::string& path) {
  const bool from_args = translation.replace(kVllm, pool, path);
  if (!pool.is_object() || !pool.contains("connector")) return;
  Json& connector = pool["connector"];
  const bool named = connector.is_object() && connector.contains("remote");
  if (!translation.replace(kLmcache, connector, path + "/connector") && !from_args) return;
  if (!connector.is_object() || named) return;
  find_store(connector, names_of(experiment));
}

// A picker or a frontend is the experiment's router, and decides about prefill and decode apart.
// Its file may be named there or at the top.
void replace_router(Translation& translation, Json& experiment) {
  for (const Source* source : {&kEpp, &kDynamo}) {
    Json part = Json::object();
    const bool inside = experiment.contains("router") && experiment["router"].is_object() &&
                        experiment["router"].contains(source->key);
    if (!inside && !experiment.contains(source->key)) continue;
    Json& holder = inside ? experiment["router"] : experiment;
    part[source->key] = holder[source->key];
    holder.erase(source->key);
    translation.replace(*source, part, inside ? "/router" : "");
    for (const char* key : {"router", "disaggregation"}) {
      if (!part.contains(key)) continue;
      if (experiment.contains(key)) put_over(part[key], experiment[key]);
      experiment[key] = std::move(part[key]);
    }
  }
}

}  // namespace

Json with_real_configurations(Json experiment, const std::string& file) {
  if (!experiment.is_object()) return experiment;
  Translation translation(experiment, file);
  const auto each = [&](const char* list, const auto& visit) {
    if (!experiment.contains(list) || !experiment[list].is_array()) return;
    for (std::size_t i = 0; i < experiment[list].size(); ++i)
      visit(experiment[list][i], fmt::format("/{}/{}", list, i));
  };
  each("stores", [&](Json& store, const std::string& path) {
    for (const Source* source : {&kKvrocks, &kRedis}) translation.replace(*source, store, path);
  });
  each("pools", [&](Json& pool, const std::string& path) {
    replace_connector(translation, experiment, pool, path);
  });
  replace_router(translation, experiment);
  for (std::string& warning : translation.warnings)
    experiment["warnings"].push_back(std::move(warning));
  return experiment;
}

}  // namespace kvsim
