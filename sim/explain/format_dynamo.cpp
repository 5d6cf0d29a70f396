// The command line of Dynamo's frontend or stand-alone router. Example:
//
//   DYN_ROUTER_TTL_SECS=60
//   python -m dynamo.frontend --router-mode kv --kv-overlap-score-weight 1.0
//     --no-router-kv-events --kv-cache-block-size 64 --router-queue-threshold 2
//
// Also the flags alone. Flags of v0.4 (August 2025) to v1.5 (August 2026). What they mean here is
// the experiment's "router", and its "disaggregation" where they say which prompts decode replicas
// compute themselves.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/base/registry.hpp"
#include "sim/explain/command_line.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/dynamo_options.hpp"

namespace kvsim {

namespace {

constexpr const char* kDisagg = "--router-conditional-disagg-config";
constexpr const char* kRatio = "DYN_ENCODER_CUDA_TO_CPU_RATIO";
constexpr std::array kModes{"round-robin", "random",       "power-of-two",         "kv",
                            "direct",      "least-loaded", "device-aware-weighted"};

bool is_dynamo(const std::vector<std::string>& words, std::size_t index) {
  const std::string& word = words[index];
  return word.starts_with("dynamo.frontend") || word.starts_with("dynamo.router") ||
         word.ends_with("dynamo-run");
}

// Read by the KV router only.
bool is_of_kv(const std::string& flag) {
  const OptionRow* row = dynamo_options().find(flag);
  if (row == nullptr || flag == "--router-mode") return false;
  return std::string_view(row->key).starts_with("/router/") ||
         flag.starts_with("--router-conditional-disagg") || flag == "--shared-cache-type";
}

// One explanation in the making.
class DynamoCommand {
 public:
  DynamoCommand(const CommandLine& line, Explanation& out)
      : line_(line), out_(out), reader_(dynamo_options(), out) {}

  void explain() {
    out_.target = "part";
    collect();
    choose_mode();
    for (const Given& flag : given_) read(flag);
    out_.config["router"]["kind"] = mode_ == "kv" ? "dynamo-kv" : mode_;
    if (mode_ == "kv") {
      shared_cache();
      queue();
      disaggregation();
      load_aware();
      generation();
      check();
    }
    for (const auto& [index, name] : renamed_) out_.options[index].option = name;
  }

 private:
  struct Given {
    NamedValue flag;       // by its current name
    std::string original;  // as it was written
  };

  void collect() {
    for (NamedValue& flag : parse_flags(line_.arguments, dynamo_options(), FlagNames::kDashes)) {
      const std::string original = flag.name;
      flag.name = dynamo_current_name(flag.name);
      given_.push_back({std::move(flag), original});
    }
    for (const NamedValue& variable : line_.environment) {
      const std::string flag = dynamo_flag_of(variable.name);
      if (variable.name == kRatio || (!flag.empty() && value(flag).empty()))
        given_.push_back({{flag, variable.value}, variable.name});
    }
  }

  [[nodiscard]] std::string value(const std::string& name) const {
    std::string out;
    for (const Given& one : given_)
      if (one.flag.name == name) out = one.flag.value;
    return out;
  }

  void choose_mode() {
    load_aware_ = parse_unit(value("--load-aware"), Unit::kFlag) == Json(true);
    const std::string mode = value("--router-mode");
    if (!mode.empty()) mode_ = mode;
    if (load_aware_) mode_ = "kv";
    if (std::find(kModes.begin(), kModes.end(), mode_) == kModes.end()) mode_ = kModes[0];
  }

  void add(const Given& one, Effect effect, const std::string& text, const std::string& key = "") {
    out_.options.push_back({one.original, one.flag.value, effect, text, key});
  }

  void read(const Given& one) {
    const auto& [name, value] = one.flag;
    if (one.original == kRatio) {
      read_ratio(one);
    } else if (name.empty()) {
      out_.options.push_back({value, "", Effect::kUnknown, "A word that belongs to no flag.", ""});
    } else if (name == "--router-mode") {
      read_mode(one);
    } else if (is_of_kv(name) && mode_ != "kv") {
      add(one, Effect::kIgnoredByReal, "Only --router-mode kv reads it.");
      out_.contradictions.push_back(
          fmt::format("{} has no effect: the router mode is {}.", one.original, mode_));
    } else if (value == "None" && is_of_kv(name)) {
      add(one, Effect::kModelled, "None: as without it.");
    } else if (name == kDisagg) {
      disagg_text_ = value;
      add(one, Effect::kModelled, "Its keys are explained one by one.");
    } else {
      if (one.original != name) renamed_.push_back({out_.options.size(), one.original});
      reader_.read(one.flag);
      check_choice(name, value);
    }
  }

  void read_mode(const Given& one) {
    if (std::find(kModes.begin(), kModes.end(), one.flag.value) != kModes.end()) {
      add(one, Effect::kModelled, dynamo_options().find("--router-mode")->text, "/router/kind");
      return;
    }
    refuse(one.original, one.flag.value,
           fmt::format("Dynamo takes one of {}.", fmt::join(kModes, ", ")));
  }

  void refuse(const std::string& option, const std::string& value, const std::string& text) {
    out_.options.push_back({option, value, Effect::kRefused, text, ""});
    out_.contradictions.push_back(fmt::format("{} {}: {}", option, value, text));
  }

  void read_ratio(const Given& one) {
    const auto ratio = parse_unit(one.flag.value, Unit::kNumber);
    if (mode_ != "device-aware-weighted" || !ratio) {
      add(one, Effect::kIgnoredByReal, "Only --router-mode device-aware-weighted reads it.");
      return;
    }
    out_.config["router"]["cuda_to_cpu_ratio"] = *ratio;
    add(one, Effect::kModelled, "How much more a replica with a GPU does.",
        "/router/cuda_to_cpu_ratio");
  }

  void check_choice(const std::string& name, const std::string& value) {
    if (name == "--router-queue-policy" && value != "fcfs" && value != "lcfs" && value != "wspt")
      refuse_last("Dynamo takes one of fcfs, lcfs, wspt.");
    if (name == "--shared-cache-type" && value != "none" && value != "hicache")
      refuse_last("Dynamo takes one of none, hicache.");
  }
  void refuse_last(const std::string& text) {
    Explained option = out_.options.back();
    out_.options.pop_back();
    refuse(option.option, option.value, text);
  }

  // An option that was read turns out to do nothing.
  void ignore(const std::string& name, const std::string& text) {
    Explained* option = out_.find(name);
    if (option == nullptr || option->key.empty()) return;
    Json& config = out_.config;
    const Json::json_pointer pointer(option->key);
    config.at(pointer.parent_pointer()).erase(pointer.back());
    option->effect = Effect::kIgnoredByReal;
    option->key.clear();
    option->text = text;
    out_.contradictions.push_back(name + ": " + text);
  }

  void shared_cache() {
    const bool asked = reader_.text("--shared-cache-type") == "hicache";
    if (!asked) ignore("--shared-cache-multiplier", "No shared cache is asked.");
    Json& router = out_.config["router"];
    if (asked && !router.contains("shared_cache_multiplier"))
      router["shared_cache_multiplier"] = reader_.number("--shared-cache-multiplier");
  }

  void queue() {
    if (!reader_.given("--router-queue-threshold"))
      ignore("--router-queue-policy", "Nothing is queued without --router-queue-threshold.");
    Json& router = out_.config["router"];
    if (reader_.given("--router-queue-threshold")) {
      router["admission"]["kind"] = "dynamo-queue";
    } else {
      router.erase("admission");
    }
  }

  void disaggregation() {
    const bool on = reader_.flag("--router-conditional-disagg");
    if (disagg_text_.empty() && !on) return;
    const Json json = disagg_text_.empty() ? Json::object()
                                           : Json::parse(disagg_text_, nullptr,
                                                         /*allow_exceptions=*/false);
    if (!json.is_object()) {
      refuse(kDisagg, disagg_text_, "It takes a JSON object.");
      return;
    }
    if (!on) {
      refuse(kDisagg, disagg_text_, "It needs --router-conditional-disagg.");
      return;
    }
    read_disagg(json);
  }

  void read_disagg(const Json& json) {
    out_.config["disaggregation"]["decider"] = Json::object();
    const std::size_t first = out_.options.size();
    OptionReader reader(dynamo_disagg_options(), out_);
    for (const NamedValue& option : flatten_json(json, ""))
      if (option.value != "null") reader.read(option);
    Json& decider = out_.config["disaggregation"]["decider"];
    std::string policy = reader.text("policy");
    const bool load = policy == "prefill_load" || policy == "isl_or_load";
    if (!load && policy != "isl_bounding")
      refuse("policy", policy, "Dynamo takes one of isl_bounding, prefill_load, isl_or_load.");
    std::replace(policy.begin(), policy.end(), '_', '-');
    decider["kind"] = policy;
    if (load && !decider.contains("prefill_busy_threshold")) take_queue_threshold(decider);
    if (!load) ignore("prefill_busy_threshold", "isl_bounding does not look at prefill load.");
    if (policy == "prefill-load")
      for (const char* name : {"eff_isl_threshold", "eff_isl_ratio_threshold"})
        ignore(name, "prefill_load does not look at lengths.");
    for (std::size_t i = first; i < out_.options.size(); ++i)
      out_.options[i].option = std::string(kDisagg) + "." + out_.options[i].option;
  }

  void take_queue_threshold(Json& decider) {
    if (reader_.given("--router-queue-threshold")) {
      decider["prefill_busy_threshold"] = reader_.number("--router-queue-threshold");
    } else {
      refuse("prefill_busy_threshold", "", "Dynamo needs it, or --router-queue-threshold.");
    }
  }

  void load_aware() {
    if (!load_aware_) return;
    for (const char* name :
         {"--router-kv-overlap-score-credit", "--router-kv-events", "--router-track-active-blocks",
          "--router-assume-kv-reuse", "--router-track-prefill-tokens", "--shared-cache-multiplier",
          "--router-predicted-ttl-secs"})
      ignore(name, "--load-aware overrules it.");
    Json& router = out_.config["router"];
    router["overlap_score_credit"] = 0;
    router["use_kv_events"] = false;
    router["router_assume_kv_reuse"] = false;
    router.erase("shared_cache_multiplier");
  }

  // Flags do not say of which release they are, but some exist since the new cost only, and some
  // spellings are older.
  void generation() {
    bool former = false;
    bool recent = load_aware_;
    for (const Given& one : given_) {
      former = former || (one.original != one.flag.name && one.original.starts_with("--"));
      for (const char* name :
           {"--router-kv-overlap-score-credit", "--router-kv-overlap-score-credit-decay",
            "--router-prefill-load-scale", "--router-decode-active-request-weight",
            "--router-host-cache-hit-weight", "--router-disk-cache-hit-weight",
            "--shared-cache-type", "--router-conditional-disagg", "--router-predicted-ttl-secs"})
        recent = recent || one.flag.name == name;
    }
    const char* generation = former && !recent ? "mid" : "new";
    out_.config["router"]["generation"] = generation;
    out_.notes.push_back(fmt::format(
        "The flags do not say which release: taken as \"{}\" ({}). Put \"generation\" beside them "
        "for another: old (v0.4), mid (v1.0), new (v1.5).",
        generation, former && !recent ? "a former spelling" : "no former spelling alone"));
  }

  void check() {
    if (!reader_.flag("--router-kv-events") || load_aware_) {
      ignore("--router-predicted-ttl-secs", "It needs KV events.");
    } else {
      ignore("--router-ttl-secs",
             "KV events tell what is cached: only --no-router-kv-events "
             "reads it.");
    }
    if (reader_.given("--router-kv-overlap-score-weight"))
      ignore("--router-prefill-load-scale",
             "--router-kv-overlap-score-weight is the same by its "
             "former name and overrules it.");
    if (!reader_.flag("--router-replica-sync")) return;
    out_.notes.push_back(
        "How many frontends there are is not in their flags: put \"router_replicas\" beside them.");
  }

  const CommandLine& line_;
  Explanation& out_;
  OptionReader reader_;
  std::vector<Given> given_;
  std::vector<std::pair<std::size_t, std::string>> renamed_;  // index into out_.options
  std::string mode_ = kModes[0];
  std::string disagg_text_;
  bool load_aware_ = false;
};

class DynamoFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  DynamoFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string& name) const override {
    try {
      const CommandLine line = parse_command_line(text, name, is_dynamo);
      if (line.has_program) return true;
      const auto flags = parse_flags(line.arguments, dynamo_options(), FlagNames::kDashes);
      return std::any_of(flags.begin(), flags.end(), [](const NamedValue& flag) {
        const std::string current = dynamo_current_name(flag.name);
        return current == "--router-mode" || current == "--load-aware" ||
               (is_of_kv(current) && current.starts_with("--router-"));
      });
    } catch (const ConfigError&) {
      return false;
    }
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    Explanation out;
    const CommandLine line = parse_command_line(text, name, is_dynamo);
    DynamoCommand(line, out).explain();
    return out;
  }
};

const Register<ConfigFormat, DynamoFormat> kRegistered("dynamo",
                                                       "Dynamo's command line: its router");

}  // namespace

}  // namespace kvsim
