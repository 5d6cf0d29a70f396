#include "sim/explain/epp_tables.hpp"

#include <algorithm>
#include <array>

namespace kvsim {

namespace {

using Kind = EppType::Kind;
constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kNotModelled = Effect::kNotModelled;

constexpr std::array kTypes{
    EppType{"queue-scorer", Kind::kRouter, "queue-scorer", kModelled,
            "Requests waiting, stretched over the replicas: a difference of one counts fully."},
    EppType{"running-requests-size-scorer", Kind::kRouter, "running-requests-size-scorer",
            kModelled, "Requests running, stretched over the replicas."},
    EppType{"kv-cache-utilization-scorer", Kind::kRouter, "kv-cache-utilization-scorer", kModelled,
            "KV cache in use; what is cached but unused counts as free."},
    EppType{"load-aware-scorer", Kind::kRouter, "load-aware-scorer", kModelled,
            "Requests waiting against a threshold; never above 0.5."},
    EppType{"active-request-scorer", Kind::kRouter, "active-request-scorer", kModelled,
            "The picker's own count of requests in flight."},
    EppType{"token-load-scorer", Kind::kRouter, "token-load-scorer", kModelled,
            "The picker's own count of prompt tokens in flight."},
    EppType{"prefix-cache-scorer", Kind::kRouter, "prefix-cache-scorer", kModelled,
            "Share of the prompt that this picker has sent there before."},
    EppType{"precise-prefix-cache-scorer", Kind::kRouter, "precise-prefix-cache-scorer", kModelled,
            "Share of the prompt that is cached there by KV events."},
    EppType{"no-hit-lru-scorer", Kind::kRouter, "no-hit-lru-scorer", kModelled,
            "Spreads requests that nobody has cached."},
    EppType{"lora-affinity-scorer", Kind::kRouter, "lora-affinity-scorer", kModelled,
            "There are no adapters here: 0 for all, as there for a base model."},
    EppType{"session-affinity-scorer", Kind::kRouter, "session-affinity-scorer", kModelled,
            "The replica of the session's turn before."},
    EppType{"context-length-aware", Kind::kRouter, "context-length-aware", kModelled,
            "Lengths that pools are meant for: state them as ranges, there they are pod labels."},
    EppType{"latency-scorer", Kind::kOther, "", kNotModelled, "A learned model in a sidecar."},
    EppType{"by-label", Kind::kOther, "", kNotModelled,
            "Labels are pools here: a filter by-label with names of pools does the same."},
    EppType{"prefill-filter", Kind::kOther, "", kModelled, "Pools have roles here."},
    EppType{"decode-filter", Kind::kOther, "", kModelled, "Pools have roles here."},
    EppType{"encode-filter", Kind::kOther, "", kNotModelled, "There is no encoding here."},
    EppType{"prefix-cache-affinity-filter", Kind::kRouter, "prefix-cache-affinity-filter",
            kModelled, "Keeps replicas that hold most of the prompt."},
    EppType{"slo-headroom-tier-filter", Kind::kOther, "", kNotModelled,
            "By predicted latency: state the objective in our filter of that name."},
    EppType{"max-score-picker", Kind::kRouter, "max-score-picker", kModelled,
            "The highest score, ties at random."},
    EppType{"random-picker", Kind::kRouter, "random-picker", kModelled, "Each equally likely."},
    EppType{"weighted-random-picker", Kind::kRouter, "weighted-random-picker", kModelled,
            "In proportion to the score."},
    EppType{"approx-prefix-cache-producer", Kind::kRouter, "approx-prefix-cache-producer",
            kModelled, "Settings of the approximate prefix match."},
    EppType{"single-profile-handler", Kind::kOther, "", kModelled,
            "One profile: the router's own way."},
    EppType{"data-parallel-profile-handler", Kind::kOther, "", kNotModelled,
            "Ranks of one engine chosen singly: make them replicas."},
    EppType{"disagg-profile-handler", Kind::kOther, "", kModelled,
            "The decode replica first, then the decider, then the prefill replica: pools with "
            "roles do that."},
    EppType{"pd-profile-handler", Kind::kOther, "", kModelled,
            "The decode replica first, then the prefill replica: pools with roles do that."},
    EppType{"prefix-based-pd-decider", Kind::kDecider, "prefix-based-pd-decider", kModelled,
            "Prefill elsewhere when enough of the prompt is not cached."},
    EppType{"always-disagg-pd-decider", Kind::kDecider, "always-disagg", kModelled,
            "Always prefill elsewhere."},
    EppType{"utilization-detector", Kind::kDetector, "utilization", kModelled,
            "Saturation by queue and KV usage."},
    EppType{"concurrency-detector", Kind::kDetector, "concurrency", kModelled,
            "Saturation by what the picker has in flight."},
};

constexpr const char* kApproximate = "prefix-cache-scorer";
constexpr const char* kUtilisation = "utilization-detector";

constexpr std::array kParameters{
    EppParameter{kApproximate, "autoTune", "auto_tune", "Block size and count from the engine."},
    EppParameter{kApproximate, "blockSizeTokens", "block_tokens", "A block is 4 x characters."},
    EppParameter{kApproximate, "blockSize", "", "Characters of a block in old versions."},
    EppParameter{kApproximate, "maxPrefixBlocksToMatch", "max_prefix_blocks",
                 "Longer prompts are cut off there."},
    EppParameter{kApproximate, "maxPrefixTokensToMatch", "max_prefix_tokens",
                 "Longer prompts are cut off there."},
    EppParameter{kApproximate, "lruCapacityPerServer", "lru_blocks_per_replica",
                 "Index entries kept per replica; autoTune goes before it."},
    EppParameter{"load-aware-scorer", "threshold", "threshold", "Waiting requests that score 0."},
    EppParameter{"active-request-scorer", "idleThreshold", "idle_threshold",
                 "Requests in flight of an idle replica."},
    EppParameter{"active-request-scorer", "maxBusyScore", "max_busy_score",
                 "Bound of the score of a busy replica."},
    EppParameter{"token-load-scorer", "threshold", "threshold_tokens", "Tokens that score 0."},
    EppParameter{"no-hit-lru-scorer", "lruSize", "lru_size", "Replicas remembered."},
    EppParameter{"prefix-based-pd-decider", "nonCachedTokens", "non_cached_tokens",
                 "Uncached tokens from which on; 0 = never."},
    EppParameter{kUtilisation, "queueDepthThreshold", "queue_depth",
                 "Requests waiting on a full replica."},
    EppParameter{kUtilisation, "kvCacheUtilThreshold", "kv_usage", "KV usage of a full replica."},
    EppParameter{kUtilisation, "metricsStalenessThreshold", "stale_s",
                 "Older gauges mean a full replica."},
    EppParameter{"concurrency-detector", "maxConcurrency", "max_requests",
                 "Requests in flight on a full replica."},
};

}  // namespace

const EppType* epp_type(const std::string& name) {
  const auto found =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& row) { return name == row.name; });
  return found == kTypes.end() ? nullptr : found;
}

const EppParameter* epp_parameter(const std::string& type, const std::string& name) {
  const std::string owner = type == "approx-prefix-cache-producer" ? kApproximate : type;
  const auto found = std::find_if(kParameters.begin(), kParameters.end(), [&](const auto& row) {
    return owner == row.type && name == row.name;
  });
  return found == kParameters.end() ? nullptr : found;
}

}  // namespace kvsim
