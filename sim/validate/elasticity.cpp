#include "sim/validate/elasticity.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "sim/base/json_pointer.hpp"

namespace kvsim {

namespace {

// Parts of an experiment whose numbers are inputs of the model: not what is measured, wished for,
// broken on purpose or tried again.
const std::set<std::string>& sections() {
  static const std::set<std::string> names = {"workload", "load",          "stages",  "pools",
                                              "nodes",    "stores",        "network", "router",
                                              "cost",     "disaggregation"};
  return names;
}

// Identities, dimensions and lengths: ten per cent of them mean nothing, or another deployment.
bool is_structure(const std::string& key) {
  static const std::set<std::string> keys = {"seed",
                                             "requests",
                                             "tensor_parallel",
                                             "pipeline_parallel",
                                             "gpus",
                                             "replicas",
                                             "min_replicas",
                                             "max_replicas",
                                             "gpus_per_switch",
                                             "switch_gpus",
                                             "nodes_per_rack",
                                             "nics",
                                             "block_size",
                                             "weight",
                                             "compute_capability",
                                             "descriptor_bytes",
                                             "duration_s",
                                             "exponent",
                                             "turns",
                                             "layers",
                                             "kernels_per_layer"};
  return keys.contains(key);
}

bool counts_whole(const std::string& key) {
  return key.ends_with("_bytes") || key.ends_with("_tokens");
}

constexpr double kFewest = 4;  // whole numbers below have no small step

using Found = std::function<void(const std::string& path, const std::string& key, const Json&)>;

// Numbers below `json`; with `star`, elements of a list share the path of *.
void walk(const Json& json, const std::string& path, const std::string& key, bool star,
          const Found& found) {
  if (json.is_number()) found(path, key, json);
  if (json.is_object())
    for (const auto& item : json.items())
      walk(item.value(), path + "/" + escape_pointer(item.key()), item.key(), star, found);
  if (!json.is_array()) return;
  for (std::size_t i = 0; i < json.size(); ++i)
    walk(json[i], path + "/" + (star ? "*" : std::to_string(i)), key, star, found);
}

void add(std::vector<Input>& inputs, Input input, const std::string& key) {
  if (input.value == 0 || !std::isfinite(input.value) || is_structure(key)) return;
  if (input.whole && std::abs(input.value) < kFewest) return;
  for (const Input& known : inputs)
    if (known.path == input.path) return;  // another element of a list
  inputs.push_back(std::move(input));
}

std::optional<double> figure(const Json& summary, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  if (!summary.contains(at) || !summary.at(at).is_number()) return std::nullopt;
  const double value = summary.at(at).get<double>();
  return value > 0 && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void by_effect(std::vector<Sensitivity>& all) {
  std::stable_sort(all.begin(), all.end(), [](const Sensitivity& a, const Sensitivity& b) {
    return a.effect() > b.effect();
  });
}

std::string cell(const std::optional<Slope>& slope) {
  if (!slope) return "-";
  return fmt::format("{:+.2f}{}", slope->central, slope->kinked() ? "!" : "");
}

// "a, b, c", each of which `is`.
std::string names_of(const std::vector<Sensitivity>& all,
                     const std::function<bool(const Sensitivity&)>& is) {
  std::string out;
  for (const Sensitivity& one : all)
    if (is(one)) out += (out.empty() ? "" : ", ") + one.input.name();
  return out;
}

bool any_kink(const Sensitivity& one) {
  return std::any_of(one.slopes.begin(), one.slopes.end(),
                     [](const auto& slope) { return slope && slope->kinked(); });
}

}  // namespace

std::vector<Input> inputs_of_experiment(const Json& resolved) {
  std::vector<Input> out;
  for (const auto& section : resolved.items()) {
    if (!sections().contains(section.key())) continue;
    walk(section.value(), "/" + section.key(), section.key(), /*star=*/false,
         [&](const std::string& path, const std::string& key, const Json& number) {
           add(out, {"", path, number.get<double>(), number.is_number_integer()}, key);
         });
  }
  return out;
}

std::vector<Input> inputs_of_model(const Json& file, const std::string& model) {
  std::vector<Input> out;
  walk(file, "", "", /*star=*/true,
       [&](const std::string& path, const std::string& key, const Json& number) {
         add(out, {model, path, number.get<double>(), number.is_number_integer()}, key);
       });
  return out;
}

std::vector<std::string> disks_of(const Json& resolved) {
  std::set<std::string> names;
  const std::function<void(const Json&)> look = [&](const Json& json) {
    if (json.is_object() && json.contains("profile") && json.at("profile").is_string() &&
        !json.at("profile").get<std::string>().empty())
      names.insert("disk/" + json.at("profile").get<std::string>());
    if (json.is_structured())
      for (const Json& part : json) look(part);
  };
  if (resolved.contains("nodes")) look(resolved.at("nodes"));
  return {names.begin(), names.end()};
}

std::vector<Input> chosen(const std::vector<Input>& inputs,
                          const std::vector<std::string>& patterns) {
  std::vector<Input> out;
  std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(out), [&](const Input& input) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), input.name().c_str(), FNM_NOESCAPE) == 0;
    });
  });
  return out;
}

std::optional<std::array<Nudge, 2>> nudges_of(const Input& input, double step,
                                              const Json& resolved) {
  const std::string key = input.path.substr(input.path.rfind('/') + 1);
  const bool whole = input.whole || counts_whole(key);
  std::array<Nudge, 2> out;
  for (std::size_t side = 0; side < 2; ++side) {
    const double sign = side == 0 ? -1 : 1;
    double value = input.value * (1 + sign * step);
    if (whole) value = input.value + sign * std::max(1.0, std::round(input.value * step));
    if (value / input.value <= 0) return std::nullopt;
    out[side].factor = value / input.value;
    if (input.model.empty()) {
      const Json number = whole ? Json(std::llround(value)) : Json(value);
      out[side].override_text = input.path + "=" + number.dump();
      continue;
    }
    Json changes = resolved.value("model_overrides", Json::array());
    changes.push_back({{"model", input.model}, {"path", input.path}, {"times", out[side].factor}});
    out[side].override_text = "/model_overrides=" + changes.dump();
  }
  return out;
}

const std::vector<Output>& sensitivity_outputs() {
  static const std::vector<Output> outputs = {{"ttft", "/latency_s/ttft/mean"},
                                              {"ttft p99", "/latency_s/ttft/p99"},
                                              {"tpot", "/latency_s/tpot/mean"},
                                              {"e2e", "/latency_s/e2e/mean"},
                                              {"throughput", "/throughput/output_tokens_per_s"},
                                              {"hit rate", "/cache/hit_rate"},
                                              {"cost", "/cost/usd_per_million_output_tokens"}};
  return outputs;
}

bool Slope::kinked() const {
  constexpr double kSmall = 0.1;  // below, single requests' chance makes the difference
  const double larger = std::max(std::abs(down), std::abs(up));
  return larger > kSmall && std::abs(up - down) > 0.5 * larger;
}

double Sensitivity::effect() const {
  double most = 0;
  for (const auto& slope : slopes)
    if (slope) most = std::max(most, std::abs(slope->central));
  return most;
}

Sensitivity slopes_of(const Input& input, const std::array<Nudge, 2>& nudges, const Json& base,
                      const Json& down, const Json& up) {
  Sensitivity out{input, {}, ""};
  const double x_down = std::log(nudges[0].factor), x_up = std::log(nudges[1].factor);
  for (const Output& output : sensitivity_outputs()) {
    const auto y = figure(base, output.pointer);
    const auto y_down = figure(down, output.pointer), y_up = figure(up, output.pointer);
    out.slopes.emplace_back();
    if (!y || !y_down || !y_up) continue;
    const double central = std::log(*y_up / *y_down) / (x_up - x_down);
    out.slopes.back() = Slope{central, x_down < 0 ? std::log(*y_down / *y) / x_down : central,
                              x_up > 0 ? std::log(*y_up / *y) / x_up : central};
  }
  return out;
}

std::string sensitivity_table(std::vector<Sensitivity> all) {
  by_effect(all);
  std::size_t width = 5;
  const auto shown = [](const Sensitivity& one) {
    return one.error.empty() && one.effect() >= kNoEffect;
  };
  for (const Sensitivity& one : all)
    if (shown(one)) width = std::max(width, one.input.name().size());
  std::string out = fmt::format("{:<{}}{:>12}", "input", width, "value");
  for (const Output& output : sensitivity_outputs()) out += fmt::format("{:>12}", output.name);
  out += "\n";
  for (const Sensitivity& one : all) {
    if (!shown(one)) continue;
    out += fmt::format("{:<{}}{:>12.4g}", one.input.name(), width, one.input.value);
    for (const auto& slope : one.slopes) out += fmt::format("{:>12}", cell(slope));
    out += "\n";
  }
  const std::string none = names_of(
      all, [](const Sensitivity& one) { return one.error.empty() && one.effect() < kNoEffect; });
  if (!none.empty()) out += fmt::format("no effect: {}\n", none);
  const std::string kinks = names_of(all, any_kink);
  if (!kinks.empty())
    out += fmt::format(
        "! kinks, the slopes of the two sides differ (a limit, a threshold, or chance): {}\n",
        kinks);
  for (const Sensitivity& one : all)
    if (!one.error.empty())
      out += fmt::format("could not be varied: {}: {}\n", one.input.name(), one.error);
  return out;
}

std::string sensitivity_csv(std::vector<Sensitivity> all) {
  by_effect(all);
  std::string out = "model,path,value,output,elasticity,down,up,kinked\n";
  for (const Sensitivity& one : all)
    for (std::size_t i = 0; i < one.slopes.size(); ++i)
      if (const auto& slope = one.slopes[i])
        out += fmt::format("{},{},{:g},{},{:.4f},{:.4f},{:.4f},{}\n", one.input.model,
                           one.input.path, one.input.value, sensitivity_outputs()[i].name,
                           slope->central, slope->down, slope->up, slope->kinked() ? 1 : 0);
  return out;
}

Json sensitivity_json(std::vector<Sensitivity> all, double step) {
  by_effect(all);
  Json rows = Json::array();
  for (const Sensitivity& one : all) {
    Json row = {{"model", one.input.model}, {"path", one.input.path}, {"value", one.input.value}};
    if (!one.error.empty()) row["error"] = one.error;
    for (std::size_t i = 0; i < one.slopes.size(); ++i)
      if (const auto& slope = one.slopes[i])
        row["elasticity"][sensitivity_outputs()[i].name] = {{"central", slope->central},
                                                            {"down", slope->down},
                                                            {"up", slope->up},
                                                            {"kinked", slope->kinked()}};
    rows.push_back(std::move(row));
  }
  return {{"schema", "kvsim.sensitivity/1"}, {"step", step}, {"inputs", std::move(rows)}};
}

}  // namespace kvsim
