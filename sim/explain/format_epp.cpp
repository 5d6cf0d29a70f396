// The configuration of llm-d's endpoint picker. Example:
//
//   apiVersion: llm-d.ai/v1alpha1        # or inference.networking.x-k8s.io/v1alpha1
//   kind: EndpointPickerConfig
//   plugins:
//   - {type: prefix-cache-scorer, parameters: {maxPrefixBlocksToMatch: 256}}
//   - {type: queue-scorer}
//   schedulingProfiles:
//   - name: default
//     plugins: [{pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]
//
// What it means here is the experiment's "router" with its admission, and, where a decider is
// named, its "disaggregation".
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <tuple>

#include "sim/base/registry.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/epp_tables.hpp"
#include "sim/explain/unit_text.hpp"

namespace kvsim {

namespace {

Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json out = Json::object();
    for (const auto& entry : node) out[entry.first.as<std::string>("")] = to_json(entry.second);
    return out;
  }
  if (node.IsSequence()) {
    Json out = Json::array();
    for (const auto& entry : node) out.push_back(to_json(entry));
    return out;
  }
  if (!node.IsScalar()) return {};
  const std::string text = node.Scalar();
  if (text == "true" || text == "false") return text == "true";
  if (const auto whole = parse_unit(text, Unit::kInteger)) return *whole;
  if (const auto number = parse_unit(text, Unit::kNumber)) return *number;
  return text;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Go's durations, of one unit: "200ms". Other values stay what they are.
Json seconds(const Json& value) {
  if (!value.is_string()) return value;
  const std::string text = value.get<std::string>();
  for (const auto& [suffix, factor] :
       {std::pair{"ms", 1e-3}, {"us", 1e-6}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}}) {
    if (!text.ends_with(suffix)) continue;
    const std::string digits = text.substr(0, text.size() - std::string(suffix).size());
    const auto number = parse_unit(digits, Unit::kNumber);
    if (number) return number->get<double>() * factor;
  }
  return value;
}

const Json& list_of(const Json& root, const char* key) {
  static const Json kNone = Json::array();
  return root.contains(key) && root.at(key).is_array() ? root.at(key) : kNone;
}

std::string string_of(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? text_of(object.at(key)) : "";
}

// One explanation in the making.
class EppFile {
 public:
  EppFile(const Json& root, Explanation& out) : root_(root), out_(out) {}

  void explain() {
    out_.target = "part";
    router()["kind"] = "llm-d";
    admission_["kind"] = flow_control() ? "llm-d-flow-control" : "llm-d-saturation";
    for (const Json& plugin : list_of(root_, "plugins")) read_plugin(plugin);
    for (const Json& profile : list_of(root_, "schedulingProfiles")) read_profile(profile);
    detector();
    rest();
    router()["admission"] = admission_;
    if (list_of(root_, "plugins").empty())
      out_.notes.emplace_back(
          "No plug-ins: llm-d's standard profile, queue 2, KV usage 2, prefix 3.");
    else if (list_of(root_, "schedulingProfiles").empty())
      out_.notes.emplace_back("No profiles: one with all plug-ins, each of weight 1.");
  }

 private:
  Json& router() { return out_.config["router"]; }
  void tell(std::string option, const Json& value, Effect effect, std::string text,
            std::string key = "") {
    out_.options.push_back(
        {std::move(option), text_of(value), effect, std::move(text), std::move(key)});
  }
  [[nodiscard]] bool flow_control() const {
    for (const Json& gate : list_of(root_, "featureGates"))
      if (gate == Json("flowControl")) return true;
    return false;
  }

  void read_plugin(const Json& plugin) {
    const std::string type = string_of(plugin, "type");
    const std::string given = string_of(plugin, "name");
    const std::string name = given.empty() ? type : given;
    const EppType* row = epp_type(type);
    const std::string option = "plugins." + name;
    names_[name] = row;
    if (row == nullptr) {
      tell(option, type, Effect::kUnknown, "No plug-in of llm-d that is known here.");
      return;
    }
    const Json parameters =
        plugin.contains("parameters") ? plugin.at("parameters") : Json::object();
    std::string key;
    if (row->kind == EppType::Kind::kRouter) {
      Json& list = router()["plugins"];
      key = fmt::format("/router/plugins/{}", list.size());
      list.push_back({{"type", row->ours}, {"name", name}, {"parameters", Json::object()}});
    } else if (row->kind == EppType::Kind::kDecider) {
      key = "/disaggregation/decider";
      out_.config["disaggregation"]["decider"] = {{"kind", row->ours}};
    }
    tell(option, type, row->effect, row->text, key);
    if (row->kind == EppType::Kind::kDetector) detectors_[name] = {type, parameters};
    if (row->kind == EppType::Kind::kDetector || !parameters.is_object()) return;
    if (row->kind == EppType::Kind::kRouter) key += "/parameters";
    for (const auto& [parameter, value] : parameters.items())
      read_parameter(option + "." + parameter, type, parameter, value, key);
  }

  // `place`: where our option goes in the configuration; "" = nowhere.
  void read_parameter(const std::string& option, const std::string& type,
                      const std::string& parameter, const Json& value, const std::string& place) {
    const EppParameter* row = epp_parameter(type, parameter);
    if (row == nullptr || std::string(row->ours).empty() || place.empty()) {
      tell(option, value, Effect::kNotModelled,
           row == nullptr ? "Not a parameter that is known here." : row->text);
      return;
    }
    const std::string key = place + "/" + row->ours;
    out_.config[Json::json_pointer(key)] =
        std::string_view(row->ours).ends_with("_s") ? seconds(value) : value;
    tell(option, value, Effect::kModelled, row->text, key);
  }

  void read_profile(const Json& profile) {
    const std::string name = string_of(profile, "name");
    Json uses = Json::array();
    Json& profiles = router()["profiles"];
    const std::string at = fmt::format("/router/profiles/{}/plugins/", profiles.size());
    for (const Json& use : list_of(profile, "plugins")) {
      const std::string reference = string_of(use, "pluginRef");
      const std::string option = fmt::format("schedulingProfiles.{}.{}", name, reference);
      const auto found = names_.find(reference);
      const bool weighed = use.is_object() && use.contains("weight");
      const Json weight = weighed ? use.at("weight") : Json(1);
      if (found == names_.end()) {
        tell(option, weight, Effect::kRefused, "No plug-in of that name.");
      } else if (found->second == nullptr || found->second->kind != EppType::Kind::kRouter) {
        const bool known = found->second != nullptr;
        tell(option, weight, known ? found->second->effect : Effect::kUnknown,
             known ? found->second->text : "Its type is not known here.");
      } else {
        tell(option, weight, Effect::kModelled,
             weighed ? "Its score is multiplied by that." : "Used; a scorer weighs 1.",
             at + std::to_string(uses.size()));
        uses.push_back({{"plugin_ref", reference}, {"weight", weight}});
      }
    }
    profiles.push_back({{"name", name}, {"plugins", uses}});
  }

  // Given by reference, or (older) with its thresholds in place.
  void detector() {
    if (!root_.contains("saturationDetector") || !root_.at("saturationDetector").is_object())
      return;
    const Json& given = root_.at("saturationDetector");
    const std::string reference = string_of(given, "pluginRef");
    std::string type = "utilization-detector";
    Json parameters = given;
    if (!reference.empty()) {
      const auto found = detectors_.find(reference);
      if (found == detectors_.end()) {
        tell("saturationDetector.pluginRef", reference, Effect::kRefused,
             "No saturation detector of that name among the plug-ins.");
        return;
      }
      std::tie(type, parameters) = found->second;
    }
    admission_["detector"] = epp_type(type)->ours;
    router()["admission"] = admission_;
    tell("saturationDetector", reference.empty() ? Json(type) : Json(reference), Effect::kModelled,
         epp_type(type)->text, "/router/admission/detector");
    if (parameters.is_object())
      for (const auto& [parameter, value] : parameters.items())
        read_parameter("saturationDetector." + parameter, type, parameter, value,
                       "/router/admission");
    admission_ = router()["admission"];
  }

  void rest() {
    for (const auto& [key, value] : root_.items()) {
      if (key == "apiVersion" || key == "kind") {
        tell(key, value, Effect::kModelled, "What this file is.");
      } else if (key == "featureGates") {
        tell(key, value, Effect::kModelled,
             flow_control() ? "Requests wait in queues while replicas are saturated."
                            : "flowControl is the one that is looked at.");
      } else if (key == "flowControl") {
        tell(key, value, Effect::kNotModelled,
             "State fairness, ordering and ttl_s in the router's admission.");
      } else if (key == "dataLayer" || key == "parser" || key == "metadata") {
        tell(key, value, Effect::kNotModelled, "Where the picker's data come from: given here.");
      } else if (key != "plugins" && key != "schedulingProfiles" && key != "saturationDetector") {
        tell(key, value, Effect::kUnknown, "Not known here.");
      }
    }
  }

  const Json& root_;
  Explanation& out_;
  Json admission_ = Json::object();
  std::map<std::string, const EppType*> names_;  // nullptr: a type that is not known here
  std::map<std::string, std::pair<std::string, Json>> detectors_;
};

class EppFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  EppFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string&) const override {
    return text.find("EndpointPickerConfig") != std::string::npos;
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    try {
      const Json root = to_json(YAML::Load(text));
      if (!root.is_object() && !root.is_null())
        throw ConfigError(
            fmt::format("{}: found no mapping; allowed: an EndpointPickerConfig", name));
      Explanation out;
      const Json mapping = root.is_null() ? Json::object() : root;
      EppFile(mapping, out).explain();
      return out;
    } catch (const YAML::Exception& error) {
      throw ConfigError(
          fmt::format("{}:{}:{}: {}", name, error.mark.line + 1, error.mark.column + 1, error.msg));
    }
  }
};

const Register<ConfigFormat, EppFormat> kRegistered("epp", "llm-d's EndpointPickerConfig (YAML)");

}  // namespace

}  // namespace kvsim
