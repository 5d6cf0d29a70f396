// Names and defaults after Dynamo's components/src/dynamo/common/configuration/groups (August 2026,
// v1.5); names of earlier releases (v0.4, v1.0) are accepted and mapped to these.
#include "sim/explain/dynamo_options.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "sim/explain/translate.hpp"

namespace kvsim {

namespace {

constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kNotModelled = Effect::kNotModelled;
constexpr Range kShare{0, 1};
constexpr Range kPositive{0, 1e6};

using Rows = std::vector<OptionRow>;

Rows cost_rows() {
  return {
      {"--router-mode", kModelled, "/router/kind", Unit::kText, kAnyRange, "round-robin",
       "Which replica a request goes to."},
      {"--load-aware", kModelled, "", Unit::kFlag, kAnyRange, "false",
       "Routes by load alone: the KV router without overlap credit, events and reuse."},
      {"--kv-cache-block-size", kModelled, "/router/kv_cache_block_size", Unit::kInteger,
       Range{1, 65536}, "", "Tokens of a block in the router."},
      {"--router-kv-overlap-score-weight", kModelled, "/router/overlap_score_weight", Unit::kNumber,
       kPositive, "", "Weight of prefill blocks; since v1.5 the same as the prefill load scale."},
      {"--router-kv-overlap-score-credit", kModelled, "/router/overlap_score_credit", Unit::kNumber,
       kPositive, "1", "What a block cached in HBM takes off the prefill cost."},
      {"--router-kv-overlap-score-credit-decay", kModelled, "/router/overlap_score_credit_decay",
       Unit::kNumber, kPositive, "0", "How fast that falls with prefill load beyond the least."},
      {"--router-prefill-load-scale", kModelled, "/router/prefill_load_scale", Unit::kNumber,
       kPositive, "1", "Weight of the prefill blocks left after credits."},
      {"--router-decode-active-request-weight", kModelled, "/router/decode_active_request_weight",
       Unit::kNumber, kPositive, "0", "Blocks charged for each request under way."},
      {"--router-host-cache-hit-weight", kModelled, "/router/host_cache_hit_weight", Unit::kNumber,
       kShare, "0.75", "What a block cached in host DRAM takes off."},
      {"--router-disk-cache-hit-weight", kModelled, "/router/disk_cache_hit_weight", Unit::kNumber,
       kShare, "0.25", "What a block cached below host DRAM takes off."},
      {"--shared-cache-multiplier", kModelled, "/router/shared_cache_multiplier", Unit::kNumber,
       kShare, "0.5", "What a block in a shared store takes off."},
      {"--shared-cache-type", kModelled, "", Unit::kText, kAnyRange, "none",
       "Whether a shared store is asked; here it is whatever all replicas reach."},
      {"--router-temperature", kModelled, "/router/router_temperature", Unit::kNumber, kPositive,
       "0", "0: the lowest cost; above: drawn by it."},
  };
}

Rows tracking_rows() {
  return {
      {"--router-kv-events", kModelled, "/router/use_kv_events", Unit::kFlag, kAnyRange, "true",
       "Caches as engines tell of them; off: as the router's own decisions suggest."},
      {"--router-ttl-secs", kModelled, "/router/router_ttl_secs", Unit::kNumber, Range{1e-6, 1e9},
       "120", "Without events: how long a routed block is believed cached."},
      {"--router-predicted-ttl-secs", kModelled, "/router/router_predicted_ttl_secs", Unit::kNumber,
       Range{1e-6, 1e9}, "", "With events: routed blocks count as cached for so long."},
      {"--router-replica-sync", kModelled, "/router/router_replica_sync", Unit::kFlag, kAnyRange,
       "false", "Router replicas know of each other's requests."},
      {"--router-track-active-blocks", kModelled, "/router/router_track_active_blocks", Unit::kFlag,
       kAnyRange, "true", "Blocks of requests under way are charged."},
      {"--router-assume-kv-reuse", kModelled, "/router/router_assume_kv_reuse", Unit::kFlag,
       kAnyRange, "true", "Requests under way share blocks of equal content."},
      {"--router-track-prefill-tokens", kModelled, "/router/router_track_prefill_tokens",
       Unit::kFlag, kAnyRange, "true", "Prompts are charged until their first token."},
      {"--router-track-output-blocks", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Blocks of answers are never counted here."},
      {"--router-prefill-load-model", kNotModelled, "", Unit::kText, kAnyRange, "none",
       "Prompts are charged whole here until their first token."},
      {"--router-approximate-cache-policy", kNotModelled, "", Unit::kText, kAnyRange, "ttl",
       "Without events blocks are forgotten by age here."},
  };
}

Rows queue_rows() {
  return {
      {"--router-queue-threshold", kModelled, "/router/admission/router_queue_threshold",
       Unit::kNumber, kPositive, "", "Requests wait while every replica is busier than this."},
      {"--router-queue-policy", kModelled, "/router/admission/router_queue_policy", Unit::kText,
       kAnyRange, "fcfs", "In which order they go on."},
      {"--active-decode-blocks-threshold", kModelled, "/router/active_decode_blocks_threshold",
       Unit::kNumber, kPositive, "", "Replicas with more of their blocks active are left out."},
      {"--active-prefill-tokens-threshold", kModelled, "/router/active_prefill_tokens_threshold",
       Unit::kInteger, Range{0, 1e12}, "", "Replicas with more prefill tokens are left out."},
      {"--active-prefill-tokens-threshold-frac", kModelled,
       "/router/active_prefill_tokens_threshold_frac", Unit::kNumber, kPositive, "",
       "The same, as a multiple of what a step computes at most."},
      {"--admission-control", kNotModelled, "", Unit::kText, kAnyRange, "none",
       "Thresholds that are given hold, as in the real router."},
      {"--router-conditional-disagg", kModelled, "", Unit::kFlag, kAnyRange, "false",
       "Decode replicas compute some prompts themselves."},
      {"--router-conditional-disagg-config", kModelled, "", Unit::kText, kAnyRange, "",
       "Which prompts."},
  };
}

Rows other_rows() {
  Rows rows;
  constexpr const char* kOther = "Does not change where requests go in the model.";
  for (const char* name : {"--router-event-threads",
                           "--router-snapshot-threshold",
                           "--router-max-tree-size",
                           "--router-prune-target-ratio",
                           "--router-min-initial-workers",
                           "--migration-limit",
                           "--migration-max-seq-len",
                           "--http-port",
                           "--http-host",
                           "--namespace",
                           "--namespace-prefix",
                           "--endpoint",
                           "--model-name",
                           "--model-path",
                           "--discovery-backend",
                           "--request-plane",
                           "--event-plane",
                           "--dyn-chat-processor",
                           "--router-tracking-hash",
                           "--metrics-prefix",
                           "--tokenizer",
                           "--tls-cert-path",
                           "--tls-key-path",
                           "--grpc-metrics-port"})
    rows.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "", kOther});
  for (const char* name : {"--router-reset-states", "--durable-kv-events", "--use-remote-indexer",
                           "--serve-indexer", "--enforce-disagg", "--interactive", "--static",
                           "--kserve-grpc-server", "--enable-session-prefix-index"})
    rows.push_back({name, kNotModelled, "", Unit::kFlag, kAnyRange, "false", kOther});
  for (const char* name : {"--router-policy-config", "--router-prefill-policy",
                           "--router-decode-policy", "--router-queue-by-incoming-missing-isl"})
    rows.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "",
                    "Policies of one's own are not modelled: the default one is."});
  return rows;
}

// Former names, so that flags without value and their --no- forms are recognised.
constexpr std::array kFormer{
    std::pair{"--kv-overlap-score-weight", "--router-kv-overlap-score-weight"},
    std::pair{"--router-ttl", "--router-ttl-secs"},
    std::pair{"--busy-threshold", "--active-decode-blocks-threshold"}};
constexpr std::array kFormerSwitches{
    std::pair{"--kv-events", "--router-kv-events"},
    std::pair{"--use-kv-events", "--router-kv-events"},
    std::pair{"--track-active-blocks", "--router-track-active-blocks"},
    std::pair{"--track-output-blocks", "--router-track-output-blocks"},
    std::pair{"--assume-kv-reuse", "--router-assume-kv-reuse"}};

Rows all_rows() {
  Rows out = cost_rows();
  for (const Rows& rows : {tracking_rows(), queue_rows(), other_rows()})
    out.insert(out.end(), rows.begin(), rows.end());
  for (const auto& [former, name] : kFormer)
    out.push_back({former, kModelled, "", Unit::kText, kAnyRange, "", "A former name."});
  for (const auto& [former, name] : kFormerSwitches)
    out.push_back({former, kModelled, "", Unit::kFlag, kAnyRange, "", "A former name."});
  return out;
}

}  // namespace

const OptionTable& dynamo_options() {
  static const OptionTable table("Dynamo", all_rows());
  return table;
}

const OptionTable& dynamo_disagg_options() {
  static const OptionTable table(
      "Dynamo",
      {
          {"policy", kModelled, "/disaggregation/decider/kind", Unit::kText, kAnyRange,
           "isl_bounding", "What keeps a prompt on its decode replica."},
          {"eff_isl_threshold", kModelled, "/disaggregation/decider/eff_isl_threshold",
           Unit::kInteger, Range{0, 1e9}, "2048", "Fewer uncached tokens than this stay."},
          {"eff_isl_ratio_threshold", kModelled, "/disaggregation/decider/eff_isl_ratio_threshold",
           Unit::kNumber, kPositive, "0.7", "A smaller uncached share than this stays."},
          {"prefill_busy_threshold", kModelled, "/disaggregation/decider/prefill_busy_threshold",
           Unit::kNumber, kPositive, "", "Above it a prefill replica is busy."},
          {"decode_busy_threshold", kModelled, "/disaggregation/decider/decode_busy_threshold",
           Unit::kNumber, kPositive, "", "Above it a decode replica computes no prompts."},
      });
  return table;
}

std::string dynamo_current_name(const std::string& flag) {
  for (const auto& [former, name] : kFormer)
    if (flag == former) return name;
  for (const auto& [former, name] : kFormerSwitches)
    if (flag == former) return name;
  return flag;
}

std::string dynamo_flag_of(const std::string& variable) {
  if (variable == "DYN_ROUTER_USE_KV_EVENTS") return "--router-kv-events";
  if (variable == "DYN_OVERLAP_SCORE_WEIGHT") return "--router-kv-overlap-score-weight";
  if (variable == "DYN_ROUTER_LOAD_AWARE") return "--load-aware";
  if (!variable.starts_with("DYN_")) return "";
  std::string flag = "--" + variable.substr(4);
  std::transform(flag.begin(), flag.end(), flag.begin(), [](unsigned char letter) {
    return letter == '_' ? '-' : static_cast<char>(std::tolower(letter));
  });
  return dynamo_options().find(flag) == nullptr ? "" : flag;
}

Json dynamo_router(const std::string& flags, const std::string& name) {
  return translate_text("dynamo", flags, name).at("router");
}

}  // namespace kvsim
