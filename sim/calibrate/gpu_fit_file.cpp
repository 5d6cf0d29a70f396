#include "sim/calibrate/gpu_fit_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace kvsim {

namespace {

constexpr double kSmallestLaunchDrift = 1e-8;

Json rounded(const Json& value, const std::string& key) {
  if (value.is_array() || value.is_object()) {
    Json out = value;
    for (auto it = out.begin(); it != out.end(); ++it)
      *it = rounded(*it, value.is_object() ? it.key() : key);
    return out;
  }
  if (!value.is_number_float()) return value;
  const double four = std::strtod(fmt::format("{:.4g}", value.get<double>()).c_str(), nullptr);
  if (key.ends_with("bytes_per_s")) return static_cast<std::int64_t>(four);
  return four;
}

Json without_provenance(Json block) {
  block.erase("provenance");
  return block;
}

Json defaults_of(const std::string& block) {
  if (block.starts_with("gemm_")) return echo_config(GemmFit{});
  if (block.starts_with("attention_")) return echo_config(AttentionFit{});
  if (block == "mixture") return echo_config(MixtureFit{});
  return Json::object();
}

void add_drift(const Json& file, const Json& rebuilt, const std::string& path, double share,
               std::vector<Drift>& out) {
  if (rebuilt.is_array() || rebuilt.is_object()) {
    for (auto it = rebuilt.begin(); it != rebuilt.end(); ++it) {
      const std::string key = rebuilt.is_object() ? it.key() : std::to_string(it - rebuilt.begin());
      const bool known = rebuilt.is_object() ? file.is_object() && file.contains(key)
                                             : file.is_array() && std::stoul(key) < file.size();
      const Json none;
      add_drift(!known                ? none
                : rebuilt.is_object() ? file[key]
                                      : file[std::stoul(key)],
                *it, path + "/" + key, share, out);
    }
    return;
  }
  const double was = file.is_number() ? file.get<double>() : 0;
  const double now = rebuilt.get<double>();
  const double allowed =
      std::max(share * std::abs(was),
               path.ends_with("_s") && !path.ends_with("bytes_per_s") ? kSmallestLaunchDrift : 0.0);
  if (!(std::abs(now - was) <= allowed)) out.push_back({path, was, now});
}

// One value, on one line.
std::string inline_text(const Json& value) {
  if (value.is_object()) {
    std::string out;
    for (const auto& [key, item] : value.items())
      out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", Json(key).dump(), inline_text(item));
    return "{" + out + "}";
  }
  constexpr double kPlainBelow = 1e16;
  if (value.is_number_float() && std::abs(value.get<double>()) >= 1e15 &&
      std::abs(value.get<double>()) < kPlainBelow)
    return fmt::format("{:.1f}", value.get<double>());  // dump() would write 1.978e+15
  return value.dump();
}

std::string list_text(const Json& list, const std::string& indent) {
  if (list.empty()) return "[]";
  std::string out;
  for (const Json& item : list)
    out += fmt::format("{}{}  {}", out.empty() ? "" : ",\n", indent, inline_text(item));
  return fmt::format("[\n{}\n{}]", out, indent);
}

std::string member_text(const std::string& key, const Json& value, const std::string& indent) {
  std::string text;
  if (value.is_array())
    text = list_text(value, indent);
  else if (value.is_object() && key != "provenance") {
    std::string inner;
    for (const auto& [name, item] : value.items())
      inner +=
          fmt::format("{}{}", inner.empty() ? "" : ",\n", member_text(name, item, indent + "  "));
    text = fmt::format("{{\n{}\n{}}}", inner, indent);
  } else
    text = inline_text(value);
  return fmt::format("{}{}: {}", indent, Json(key).dump(), text);
}

}  // namespace

const std::vector<std::string>& fitted_blocks() {
  static const std::vector<std::string> kBlocks = {"gemm_bf16",      "gemm_fp8",      "mixture",
                                                   "attention_bf16", "attention_fp8", "all_reduce"};
  return kBlocks;
}

Json block_coefficients(const GpuProfile& profile, const std::string& block) {
  const Json all = echo_config(profile);
  if (!all.contains(block) || all[block].is_null()) return {};
  return rounded(without_provenance(all[block]), block);
}

void set_block(Json& file, const std::string& block, const Json& coefficients,
               const Provenance* provenance) {
  Json& old = file[block];
  if (!old.is_object()) old = Json::object();
  const Json standard = defaults_of(block);
  Json source =
      provenance != nullptr ? echo_config(*provenance) : old.value("provenance", Json::object());
  old.erase("provenance");
  for (const auto& [key, value] : coefficients.items()) {
    const bool plain = standard.contains(key) && value == standard[key];
    if (old.contains(key) || !plain) old[key] = value;
  }
  old["provenance"] = std::move(source);
}

std::vector<Drift> drift_of(const Json& file, const std::string& block, const Json& coefficients,
                            double share) {
  std::vector<Drift> out;
  Json known = file.contains(block) ? file[block] : Json();
  const Json standard = defaults_of(block);
  for (const auto& [key, value] : standard.items())
    if (known.is_object() && !known.contains(key)) known[key] = value;
  add_drift(known, coefficients, block, share, out);
  return out;
}

std::string profile_text(const Json& file) { return member_text("", file, "").substr(4) + "\n"; }

}  // namespace kvsim
