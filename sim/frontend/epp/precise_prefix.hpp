// llm-d's precise prefix cache (spec/llm_d.md section 6): which leading blocks of a prompt a
// replica holds, as its KV events have told, weighted by the best tier that holds each.
//
// Simplified: behind the first block that is not in HBM all blocks count as being in the lower
// tier. Left out: the capacities of the index backends (1e8 keys in memory, 2 GiB cost-aware).
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {

struct PrecisePrefixOptions {
  double gpu_weight = 1.0;
  double cpu_weight = 0.8;
  double other_weight = 1.0;
  bool score_storage = false;
  bool min_max = false;
  std::int32_t replicas_per_block = 10;
  std::string backend = "in-memory";
  std::optional<Seconds> round_trip;
  bool speculative = false;
  Seconds speculative_ttl{2};

  template <class F>
  void fields(F& f) {
    f.optional("gpu_weight", gpu_weight, Range{0, 1}, "Of a block in HBM.");
    f.optional("cpu_weight", cpu_weight, Range{0, 1}, "Of a block in host DRAM.");
    f.optional("other_weight", other_weight, Range{0, 1}, "Of a block below, if scored.");
    f.optional("score_storage", score_storage,
               "Whether tiers below DRAM are scored; llm-d's index hears nothing of them.");
    f.optional("min_max_normalised", min_max,
               "Older versions (2025): stretched to 0..1 over the replicas that hold a part, "
               "instead of divided by the prompt's blocks; all equal: 1.");
    f.optional("replicas_per_block", replicas_per_block, Range{0, 1e6},
               "That the index keeps; one more takes another's place; 0 = no limit.");
    f.choice("index_backend", backend, {"in-memory", "cost-aware", "redis", "valkey"},
             "Where the index is kept; redis and valkey cost a round trip per lookup.");
    f.optional("index_round_trip_s", round_trip, Range{0, 10},
               "Of one lookup. Default: 0.2 ms for redis and valkey (assumed), else 0.");
    f.optional("speculative_indexing", speculative,
               "Adds a prompt's blocks when it is sent, before events tell of them.");
    f.optional("speculative_ttl_s", speculative_ttl, Range{0, 1e6}, "How long they are kept.");
  }
};

class PrecisePrefix {
 public:
  PrecisePrefix(const PrecisePrefixOptions& options, const Router::Context& context);

  // Looks up the full blocks of the prompt; the results hold until the next call.
  // The hashes are of engine blocks, maybe with one of what is left over.
  void match(const Ask& ask, const ClusterView& view);
  // By replica: min(1, weighted leading blocks / full blocks of the prompt).
  [[nodiscard]] std::span<const double> shares() const { return shares_; }
  [[nodiscard]] std::int64_t hit_tokens(std::int32_t replica) const;
  [[nodiscard]] Seconds lookup_time() const { return lookup_time_; }
  // The request matched last goes to `replica`.
  void insert(std::int32_t replica, const ClusterView& view);
  void lost(std::int32_t replica);

 private:
  struct Speculation {
    Seconds until;
    std::int32_t replica;  // -1: lost since
    std::size_t blocks;
  };
  void expire(const ClusterView& view);
  void normalise();

  PrecisePrefixOptions options_;
  Seconds lookup_time_{0};
  std::int64_t block_tokens_;
  std::span<const BlockHash> blocks_;
  std::vector<KvMatch> matches_;
  std::vector<double> shares_;
  std::deque<Speculation> speculations_;  // in order of time
  std::deque<BlockHash> speculated_;      // their blocks
};

}  // namespace kvsim
