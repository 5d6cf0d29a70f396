#include "sim/perf/model_overlay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "sim/perf/model_files.hpp"

namespace kvsim {

namespace {

// Profiles are read in many places, plug-ins included: a scope of the thread reaches them all
// without one more argument each. Null: files count as they are.
thread_local ModelOverlay* innermost = nullptr;

std::vector<std::string> steps_of(const ModelOverride& change, const std::string& file) {
  if (change.path.empty() || change.path.front() != '/')
    throw ConfigError(
        fmt::format("{}: found path \"{}\"; allowed: a JSON pointer such as /peaks/memory_bytes"
                    "_per_s",
                    file, change.path));
  std::vector<std::string> steps;
  Json::json_pointer at(change.path);
  for (; !at.empty(); at.pop_back()) steps.push_back(at.back());
  std::reverse(steps.begin(), steps.end());
  return steps;
}

bool counts_whole(const std::string& key) {
  return key.ends_with("_bytes") || key.ends_with("_tokens");
}

std::string known_in(const Json& json) {
  if (json.is_array())
    return json.empty() ? "nothing, the list is empty"
                        : fmt::format("*, or 0 to {}", json.size() - 1);
  if (!json.is_object()) return "the path of a number";
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  return join_names(keys);
}

// One change, walked down from the file's root.
class Walk {
 public:
  Walk(const ModelOverride& change, const std::string& file)
      : change_(change), file_(file), steps_(steps_of(change, file)) {}

  // The complaint; empty when at least one number was changed.
  std::string go(Json& json, std::size_t depth, const std::string& at) {
    if (depth == steps_.size()) return set(json, at);
    const std::string& step = steps_[depth];
    if (json.is_array() && step == "*") return each(json, depth, at);
    Json* part = nullptr;
    if (json.is_object() && json.contains(step)) part = &json[step];
    if (json.is_array()) part = element(json, step);
    if (part == nullptr)
      return fmt::format("{}: {}: found \"{}\" in {}; allowed: {}", file_, at.empty() ? "/" : at,
                         step, change_.path, known_in(json));
    return go(*part, depth + 1, at + "/" + step);
  }

 private:
  static Json* element(Json& list, const std::string& step) {
    const bool whole = !step.empty() && step.size() < 6 &&
                       step.find_first_not_of("0123456789") == std::string::npos;
    if (!whole || std::stoul(step) >= list.size()) return nullptr;
    return &list[std::stoul(step)];
  }

  // Elements may lack what others have, but not all of them.
  std::string each(Json& list, std::size_t depth, const std::string& at) {
    std::string first;
    bool changed = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string complaint = go(list[i], depth + 1, fmt::format("{}/{}", at, i));
      changed = changed || complaint.empty();
      if (first.empty()) first = complaint;
    }
    if (changed) return "";
    return list.empty()
               ? fmt::format("{}: {}: found an empty list; allowed: one with elements", file_, at)
               : first;
  }

  std::string set(Json& json, const std::string& at) const {
    if (!json.is_number())
      return fmt::format("{}: {}: found {}; allowed: {}", file_, at,
                         json.is_structured() ? "no number" : json.dump(), known_in(json));
    const double value = change_.value ? *change_.value : json.get<double>() * *change_.times;
    if (json.is_number_integer() || counts_whole(steps_.back())) {
      json = std::llround(value);
    } else {
      json = value;
    }
    return "";
  }

  const ModelOverride& change_;
  const std::string& file_;
  std::vector<std::string> steps_;
};

// A name of models/, or a file.
std::string file_of(const ModelOverride& change, const ConfigNode& node) {
  const std::size_t slash = change.model.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == change.model.size())
    node.at("model").fail('"' + change.model + '"', "<kind>/<name>, such as engine/vllm");
  const std::string name = change.model.substr(slash + 1);
  if (name.ends_with(".json")) return node.resolve_path(name);
  return find_model(change.model.substr(0, slash), name);
}

bool same_file(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  return a == b || fs::path(a).lexically_normal() == fs::path(b).lexically_normal();
}

}  // namespace

std::string ModelOverride::text() const {
  return value ? fmt::format("{} {} {:g}", model, path, *value)
               : fmt::format("{} {} times {:g}", model, path, times.value_or(1));
}

void override_model(Json& json, const ModelOverride& change, const std::string& file) {
  const std::string complaint = Walk(change, file).go(json, 0, "");
  if (!complaint.empty()) throw ConfigError(complaint);
}

ModelOverlay::ModelOverlay(const std::vector<ModelOverride>& changes, const ConfigNode& list)
    : outer_(innermost) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const ConfigNode node = list.at(i);
    const ModelOverride& change = changes[i];
    if (change.times.has_value() == change.value.has_value())
      node.fail(change.times ? "both \"times\" and \"value\"" : "neither \"times\" nor \"value\"",
                "one of them");
    changes_.push_back({change, file_of(change, node)});
    Json trial = load_json(changes_.back().file);
    override_model(trial, change, changes_.back().file);
  }
  innermost = this;
}

ModelOverlay::~ModelOverlay() { innermost = outer_; }

std::vector<ModelOverride> ModelOverlay::unused() const {
  std::vector<ModelOverride> out;
  for (const Change& one : changes_)
    if (!one.used) out.push_back(one.change);
  return out;
}

void lay_over(Json& json, const std::string& file) {
  if (innermost == nullptr) return;
  for (ModelOverlay::Change& one : innermost->changes_) {
    if (!same_file(one.file, file)) continue;
    override_model(json, one.change, file);
    one.used = true;
  }
}

}  // namespace kvsim
