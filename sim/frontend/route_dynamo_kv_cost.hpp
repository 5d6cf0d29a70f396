// What Dynamo's KV router charges a worker for a request, in blocks; the lowest is chosen
// (spec/dynamo.md section 3). Three generations: "old" (v0.4, August 2025), "mid" (v1.0, April
// 2026), "new" (v1.5, August 2026). Pure: no state, no draws.
//
//   old, mid   overlap_score_weight * prefill_tokens / block + decode_blocks
//                prefill_tokens = active ones + n - block * device_overlap
//   new        prefill_load_scale * max(0, raw - credit) + decode_blocks
//                + decode_active_request_weight * active requests
//                raw    = (active prefill tokens + n) / block
//                credit = overlap_score_credit * decay * device + host weight * host
//                         + disk weight * disk + shared_cache_multiplier * shared beyond device
//                decay  = 1 / (1 + overlap_score_credit_decay * excess / request blocks),
//                         excess = active prefill blocks above the least loaded worker's
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {

// Names and defaults are those of Dynamo's flags, underscores for dashes.
struct DynamoKvOptions {
  std::string generation = "new";
  std::int64_t kv_cache_block_size = 0;
  std::optional<double> overlap_score_weight;
  double overlap_score_credit = 1;
  double overlap_score_credit_decay = 0;
  double prefill_load_scale = 1;
  double decode_active_request_weight = 0;
  double host_cache_hit_weight = 0.75;
  double disk_cache_hit_weight = 0.25;
  double shared_cache_multiplier = 0;
  double router_temperature = 0;
  bool use_kv_events = true;
  double router_ttl_secs = 120;
  std::optional<double> router_predicted_ttl_secs;
  bool router_track_active_blocks = true;
  bool router_assume_kv_reuse = true;
  bool router_track_prefill_tokens = true;
  bool router_replica_sync = false;
  std::int64_t router_replicas = 1;
  std::optional<double> active_decode_blocks_threshold;
  std::optional<std::int64_t> active_prefill_tokens_threshold;
  std::optional<double> active_prefill_tokens_threshold_frac;

  template <class F>
  void fields(F& f) {
    f.choice("generation", generation, {"old", "mid", "new"},
             "Of the cost: old is v0.4, mid v1.0, new v1.5.");
    f.optional("kv_cache_block_size", kv_cache_block_size, Range{0, 65536},
               "Tokens of a block in the router; 0 = the engines'. KV events of engines with "
               "another block size match nothing.");
    cost_fields(f);
    f.optional("router_temperature", router_temperature, Range{0, 1e6},
               "0 = the lowest cost; else drawn by exp(-cost / (max - min) / temperature).");
    f.optional("use_kv_events", use_kv_events,
               "Caches as KV events tell; false: as the router's own decisions suggest.");
    f.optional("router_ttl_secs", router_ttl_secs, Range{1e-6, 1e9},
               "Without KV events: how long a routed block is believed cached.");
    f.optional("router_predicted_ttl_secs", router_predicted_ttl_secs, Range{1e-6, 1e9},
               "With KV events: routed blocks count as cached for so long besides.");
    tracking_fields(f);
    busy_fields(f);
  }

 private:
  template <class F>
  void cost_fields(F& f) {
    f.optional("overlap_score_weight", overlap_score_weight, Range{0, 1e6},
               "old, mid: of the prefill blocks (default 1). new: prefill_load_scale by its old "
               "name; 0 sets overlap_score_credit to 0 as well.");
    f.optional("overlap_score_credit", overlap_score_credit, Range{0, 1e6},
               "new: what a block cached in HBM takes off.");
    f.optional("overlap_score_credit_decay", overlap_score_credit_decay, Range{0, 1e6},
               "new: how fast that credit falls with prefill load beyond the least loaded's.");
    f.optional("prefill_load_scale", prefill_load_scale, Range{0, 1e6},
               "new: of the prefill blocks left after credits.");
    f.optional("decode_active_request_weight", decode_active_request_weight, Range{0, 1e6},
               "new: blocks charged for each request under way.");
    f.optional("host_cache_hit_weight", host_cache_hit_weight, Range{0, 1},
               "new: what a block cached in host DRAM takes off.");
    f.optional("disk_cache_hit_weight", disk_cache_hit_weight, Range{0, 1},
               "new: what a block cached below that takes off.");
    f.optional("shared_cache_multiplier", shared_cache_multiplier, Range{0, 1},
               "new: what a block in a shared store, beyond those in HBM, takes off.");
  }
  template <class F>
  void tracking_fields(F& f) {
    f.optional("router_track_active_blocks", router_track_active_blocks,
               "Charge blocks of requests under way.");
    f.optional("router_assume_kv_reuse", router_assume_kv_reuse,
               "Requests under way on one replica share blocks of equal content.");
    f.optional("router_track_prefill_tokens", router_track_prefill_tokens,
               "Charge prompts, from routing until their first token.");
    f.optional("router_replica_sync", router_replica_sync,
               "Router replicas know of each other's requests, at once.");
    f.optional("router_replicas", router_replicas, Range{1, 1024},
               "Routers in parallel: each request goes through one at random (assumed).");
  }
  template <class F>
  void busy_fields(F& f) {
    f.optional("active_decode_blocks_threshold", active_decode_blocks_threshold, Range{0, 1e6},
               "Replicas with a larger share of their KV blocks active are left out.");
    f.optional("active_prefill_tokens_threshold", active_prefill_tokens_threshold, Range{0, 1e12},
               "Replicas with more prefill tokens than this are left out.");
    f.optional("active_prefill_tokens_threshold_frac", active_prefill_tokens_threshold_frac,
               Range{0, 1e6}, "The same, as a multiple of max_num_batched_tokens.");
  }
};

// What the options come to for one role: the decode router of a P/D pair ignores overlap and
// prompts, the prefill router does not track blocks.
struct DynamoWeights {
  bool credits = true;  // the formula of "new"
  double prefill = 1;   // overlap_score_weight or prefill_load_scale
  double device = 1;
  double decay = 0;
  double host = 0.75;
  double disk = 0.25;
  double shared = 0;
  double request = 0;
  bool track_prefill = true;
  bool track_blocks = true;
  bool reuse_blocks = true;
};
[[nodiscard]] DynamoWeights dynamo_weights(const DynamoKvOptions& options, Role role);

// Blocks of the prompt that a worker has: in HBM, in host DRAM only, below only, and in a shared
// store beyond those in HBM.
struct DynamoOverlap {
  std::int64_t device = 0;
  std::int64_t host = 0;
  std::int64_t disk = 0;
  std::int64_t shared = 0;
};
struct DynamoWorker {
  DynamoOverlap overlap;
  std::int64_t prefill_tokens = 0;   // of requests under way without a first token, uncached
  std::int64_t decode_blocks = 0;    // active, with the request
  std::int64_t active_requests = 0;  // without it
};
struct DynamoRequest {
  std::int64_t tokens = 1;
  std::int64_t block_tokens = 16;
  std::int64_t least_prefill_tokens = 0;  // the smallest of the workers'
};

[[nodiscard]] double dynamo_cost(const DynamoWeights& weights, const DynamoRequest& request,
                                 const DynamoWorker& worker);
// Tokens of the prompt that count as cached for the worker's load: those in HBM, and (new) those
// below by their weights.
[[nodiscard]] std::int64_t dynamo_cached_tokens(const DynamoWeights& weights,
                                                const DynamoRequest& request,
                                                const DynamoOverlap& overlap);

// The index drawn with probability ~ exp(-(cost / (max - min)) / temperature), all equal: evenly.
// `sample` in [0, 1); `scratch` is overwritten with the probabilities.
[[nodiscard]] std::size_t softmax_pick(std::span<const double> costs, double temperature,
                                       double sample, std::vector<double>& scratch);

}  // namespace kvsim
