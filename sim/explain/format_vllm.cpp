// vLLM's command line, with environment variables in front. Example:
//
//   LMCACHE_CHUNK_SIZE=512 LMCACHE_MAX_LOCAL_CPU_SIZE=40
//   vllm serve meta-llama/Llama-3.1-8B-Instruct --max-num-seqs 256
//     --kv-transfer-config '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}'
//
// Also flags alone, `python -m vllm.entrypoints...`, docker's `-e NAME=value`, and a list of
// LMCACHE_ variables alone. After vLLM v0.11 (September 2025) to August 2026.
#include <fmt/format.h>

#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/explain/command_line.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/lmcache_options.hpp"
#include "sim/explain/vllm_checks.hpp"
#include "sim/explain/vllm_options.hpp"

namespace kvsim {

namespace {

constexpr const char* kTransfer = "--kv-transfer-config";
constexpr const char* kLmcachePrefix = "kv_connector_extra_config.lmcache.";

bool is_vllm(const std::vector<std::string>& words, std::size_t index) {
  const std::string& word = words[index];
  if (word.starts_with("vllm.entrypoints") || word.starts_with("vllm/vllm-openai")) return true;
  return index > 0 && word == "serve" && words[index - 1].ends_with("vllm");
}

// One explanation in the making.
class VllmCommand {
 public:
  VllmCommand(const CommandLine& line, Explanation& out)
      : line_(line), out_(out), flags_(vllm_options(), out) {}

  void explain() {
    out_.target = "pool";
    sort_arguments();
    name_connector();
    for (const NamedValue& flag : plain_) read_flag(flag);
    translate_types();
    read_environment();
    read_transfer();
    read_lmcache();
    offloading_size();
    check_vllm(flags_, out_);
  }

 private:
  static std::string without(const std::string& text, const std::string& prefix) {
    return text.substr(prefix.size());
  }

  // Plain flags, and those of the KV connector.
  void sort_arguments() {
    for (NamedValue& flag : parse_flags(line_.arguments, vllm_options(), FlagNames::kDashes)) {
      flag.name = flag.name.empty() ? "" : vllm_long_name(flag.name);
      if (flag.name == kTransfer) {
        add_transfer(flag.value);
      } else if (flag.name.starts_with(std::string(kTransfer) + ".")) {
        transfer_.push_back({without(flag.name, std::string(kTransfer) + "."), flag.value});
      } else {
        plain_.push_back(flag);
      }
    }
  }

  void add_transfer(const std::string& text) {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) {
      for (NamedValue& option : flatten_json(json, "")) transfer_.push_back(std::move(option));
      return;
    }
    out_.options.push_back({kTransfer, text, Effect::kRefused, "It takes a JSON object.", ""});
    out_.contradictions.push_back(fmt::format("{}: found no JSON object: {}", kTransfer, text));
  }

  [[nodiscard]] std::string transfer_value(const std::string& name) const {
    for (const NamedValue& option : transfer_)
      if (option.name == name) return option.value;
    return "";
  }

  [[nodiscard]] std::string plain_value(const std::string& name) const {
    for (const NamedValue& flag : plain_)
      if (flag.name == name) return flag.value;
    return "";
  }

  void name_connector() {
    const std::string connector = transfer_value("kv_connector");
    if (connector == "OffloadingConnector") kind_ = "native";
    if (connector.starts_with("LMCacheConnector")) kind_ = "lmcache";
    if (connector == "LMCacheMPConnector") kind_ = "lmcache-mp";
    const bool sized = !plain_value("--kv-offloading-size").empty();
    if (sized && connector.empty())
      kind_ = plain_value("--kv-offloading-backend") == "lmcache" ? "lmcache" : "native";
    // A list of LMCache's variables without a command says what its connector is to be.
    if (line_.arguments.empty()) kind_ = "lmcache";
    if (!kind_.empty()) out_.config["connector"]["kind"] = kind_;
  }

  void read_flag(const NamedValue& flag) {
    if (flag.name.empty()) {
      read_positional(flag.value);
      return;
    }
    const bool automatic = flag.value == "auto" || flag.value == "-1";
    if (automatic && (flag.name == "--max-model-len" || flag.name == "--kv-cache-dtype")) {
      out_.options.push_back({flag.name, flag.value, Effect::kModelled, "As the LLM has it.", ""});
      return;
    }
    flags_.read(flag);
  }

  void read_positional(const std::string& word) {
    const bool first = out_.find("--model") == nullptr && plain_value("--model").empty();
    if (first) {
      flags_.read({"--model", word});
    } else {
      out_.options.push_back({word, "", Effect::kUnknown, "A word that belongs to no flag.", ""});
    }
  }

  // What our engine calls bf16 and fp8.
  void translate_types() {
    translate_type(
        "--kv-cache-dtype", "kv_cache_dtype",
        {{"fp8", "fp8"}, {"fp8_e4m3", "fp8"}, {"fp8_e5m2", "fp8"}, {"bfloat16", "bf16"}});
    translate_type("--quantization", "weight_dtype", {{"fp8", "fp8"}});
  }

  void translate_type(const char* flag, const char* key,
                      const std::vector<std::pair<std::string, std::string>>& known) {
    Explained* option = out_.find(flag);
    if (option == nullptr || option->key.empty()) return;
    Json& engine = out_.config["engine"];
    for (const auto& [real, ours] : known)
      if (option->value == real) {
        engine[key] = ours;
        return;
      }
    engine.erase(key);
    option->effect = Effect::kNotModelled;
    option->key.clear();
    option->text += " This one is not modelled.";
  }

  void read_environment() {
    OptionReader reader(vllm_environment(), out_);
    for (const NamedValue& variable : line_.environment) {
      const std::string inner = variable.name.starts_with("LMCACHE_")
                                    ? lower_case(without(variable.name, "LMCACHE_"))
                                    : "";
      const bool known = vllm_environment().find(variable.name) != nullptr;
      if (known || inner.empty()) {
        if (known || variable.name.starts_with("VLLM_")) reader.read(variable);
        continue;
      }
      add_lmcache({inner, variable.value}, "LMCACHE_");
    }
  }

  void add_lmcache(const NamedValue& option, const std::string& prefix) {
    const Json json = option.name == "extra_config"
                          ? Json::parse(option.value, nullptr, /*allow_exceptions=*/false)
                          : Json();
    if (json.is_object()) {
      for (const NamedValue& inner : flatten_json(json, "extra_config."))
        lmcache_.push_back({inner, prefix});
    } else {
      lmcache_.push_back({option, prefix});
    }
  }

  void read_transfer() {
    const std::size_t first = out_.options.size();
    OptionReader reader(vllm_transfer_options(), out_);
    for (const NamedValue& option : transfer_) {
      const bool listed = vllm_transfer_options().find(option.name) != nullptr;
      if (!listed && option.name.starts_with(kLmcachePrefix)) {
        add_lmcache({without(option.name, kLmcachePrefix), option.value}, kLmcachePrefix);
      } else {
        reader.read(option);
      }
    }
    chunk_of_offloading(reader);
    if (kind_ == "native" && out_.config["connector"].contains("eviction"))
      out_.config["connector"]["eviction"] =
          lower_case(reader.text("kv_connector_extra_config.eviction_policy"));
    describe_connector();
    for (std::size_t i = first; i < out_.options.size(); ++i)
      out_.options[i].option = std::string(kTransfer) + "." + out_.options[i].option;
  }

  void describe_connector() {
    Explained* connector = out_.find("kv_connector");
    if (connector == nullptr) return;
    if (kind_.empty()) {
      out_.config.erase("connector");
      connector->effect = Effect::kNotModelled;
      connector->text = "There is no model of this connector.";
      return;
    }
    connector->key = "/connector/kind";
    if (kind_ == "lmcache-mp") connector->text += " Its server has a command line of its own.";
  }

  // Extra configuration counts chunks in tokens, we in blocks of the GPU.
  void chunk_of_offloading(const OptionReader& reader) {
    constexpr const char* kChunk = "kv_connector_extra_config.block_size";
    constexpr const char* kCount = "kv_connector_extra_config.num_cpu_blocks";
    const auto block = static_cast<std::int64_t>(flags_.number("--block-size"));
    if (reader.given(kChunk)) {
      const auto tokens = static_cast<std::int64_t>(reader.number(kChunk));
      if (tokens % block != 0)
        out_.contradictions.push_back(fmt::format(
            "A chunk of {} tokens is no multiple of the GPU block of {}.", tokens, block));
      Explained* option = out_.find(kChunk);
      option->effect = Effect::kModelled;
      option->key = "/connector/blocks_per_chunk";
      out_.config["connector"]["blocks_per_chunk"] = std::max<std::int64_t>(1, tokens / block);
    }
    if (reader.given(kCount))
      out_.notes.push_back(
          fmt::format("num_cpu_blocks {:.0f} is {:.0f} tokens; its bytes depend on the LLM.",
                      reader.number(kCount), reader.number(kCount) * static_cast<double>(block)));
  }

  // LMCache's options under the names that they have here.
  void read_lmcache() {
    if (kind_ != "lmcache") {
      lmcache_without_connector();
      return;
    }
    Explanation inner;
    std::vector<NamedValue> options;
    for (const auto& [option, prefix] : lmcache_) options.push_back(option);
    explain_lmcache(options, inner);
    for (std::size_t i = 0; i < inner.options.size(); ++i) {
      Explained option = inner.options[i];
      option.option = outer_name(i);
      if (!option.key.empty()) option.key = "/connector" + option.key;
      out_.options.push_back(std::move(option));
    }
    out_.config["connector"].update(inner.config);
    append(out_.contradictions, inner.contradictions);
    append(out_.notes, inner.notes);
  }

  void lmcache_without_connector() {
    for (std::size_t i = 0; i < lmcache_.size(); ++i)
      out_.options.push_back({outer_name(i), lmcache_[i].first.value, Effect::kIgnoredByReal,
                              "No LMCache connector is configured in this process.", ""});
    if (!lmcache_.empty())
      out_.contradictions.push_back(
          "LMCache options are set, but --kv-transfer-config names no LMCacheConnectorV1: they "
          "have "
          "no effect.");
  }

  [[nodiscard]] std::string outer_name(std::size_t index) const {
    const auto& [option, prefix] = lmcache_[index];
    if (prefix != "LMCACHE_") return std::string(kTransfer) + "." + prefix + option.name;
    std::string name = option.name;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
    return prefix + name;
  }

  static void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }

  // --kv-offloading-size sets up a connector of its own.
  void offloading_size() {
    if (!flags_.given("--kv-offloading-size")) return;
    if (!transfer_.empty())
      out_.contradictions.push_back(
          "Both --kv-offloading-size and --kv-transfer-config name a connector.");
    if (kind_ == "native") return;
    Explained* option = out_.find("--kv-offloading-size");
    option->key.clear();
    if (kind_ != "lmcache") {
      out_.config.erase("connector");
      return;
    }
    const double bytes = flags_.number("--kv-offloading-size");
    const double ranks = flags_.number("--tensor-parallel-size");
    Json& connector = out_.config["connector"];
    connector.erase("cpu_bytes");
    option->key = "/connector/max_local_cpu_bytes";
    connector["local_cpu"] = true;
    connector["max_local_cpu_bytes"] = static_cast<std::int64_t>(bytes / ranks);
  }

  const CommandLine& line_;
  Explanation& out_;
  OptionReader flags_;
  std::vector<NamedValue> plain_;
  std::vector<NamedValue> transfer_;                         // without the flag's name
  std::vector<std::pair<NamedValue, std::string>> lmcache_;  // with the prefix that it had
  std::string kind_;                                         // of our connector; "" = none
};

class VllmFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  VllmFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string& name) const override {
    // The command lines of others that wrap or accompany vLLM.
    for (const char* other :
         {"lmcache server", "lmcache.v1.multiprocess", "--l1-size-gb", "dynamo."})
      if (text.find(other) != std::string::npos) return false;
    try {
      const CommandLine line = parse_command_line(text, name, is_vllm);
      if (line.has_program) return true;
      const auto flags = parse_flags(line.arguments, vllm_options(), FlagNames::kDashes);
      return std::any_of(flags.begin(), flags.end(), known_flag) ||
             std::any_of(line.environment.begin(), line.environment.end(), known_variable);
    } catch (const ConfigError&) {
      return false;
    }
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    Explanation out;
    const CommandLine line = parse_command_line(text, name, is_vllm);
    VllmCommand(line, out).explain();
    return out;
  }

 private:
  static bool known_flag(const NamedValue& flag) {
    const std::string name = vllm_long_name(flag.name);
    return name.starts_with(kTransfer) || vllm_options().find(name) != nullptr;
  }
  static bool known_variable(const NamedValue& variable) {
    return variable.name.starts_with("LMCACHE_") || variable.name.starts_with("VLLM_");
  }
};

const Register<ConfigFormat, VllmFormat> kRegistered("vllm", "vLLM's command line");

}  // namespace

}  // namespace kvsim
