// Attention of one step over all layers of one rank: prefill, decode and mixed batches, grouped
// heads or latent vectors, with or without a sliding window (forms: see attention_time.cpp).
#pragma once

#include <optional>

#include "sim/perf/rank_shape.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {

class AttentionTime {
 public:
  AttentionTime(const StepTime::Context& context, const RankShape& rank,
                std::optional<double> mixed_factor);

  // Seconds on the GPU; plain arithmetic on the sums of `shape`.
  [[nodiscard]] double seconds(const StepShape& shape) const;

 private:
  // The part of the cost that grows with context, for one layer and kind of layer.
  struct Load {
    double pairs;
    double context;
    double decode_context;
  };
  // KV tokens that decodes read, those read again for another sequence counted in part.
  [[nodiscard]] double decode_reads(const StepShape& shape) const;
  [[nodiscard]] double layer_seconds(const StepShape& shape, const Load& load) const;
  // Decodes in a batch that also prefills, given what they take alone.
  [[nodiscard]] double mixed_seconds(const StepShape& shape, const Load& load, double alone) const;

  double full_layers_ = 0;
  double window_layers_ = 0;
  double window_tokens_ = 0;
  std::optional<double> mixed_factor_;  // none: a block for each head
  double decode_floor_ = 0;
  double decode_launch_ = 0;
  double decode_token_ = 0;   // seconds per KV token that decodes read
  double repeated_read_ = 1;  // over the first read
  double heads_ = 1;          // of a rank
  double group_ = 1;          // query heads that share a KV head
  double blocks_at_once_ = 1;
  double head_bytes_ = 0;    // of one KV head and token, keys and values
  double second_level_ = 0;  // bytes of that cache
  double tile_token_ = 0;    // seconds a block takes for a KV token
  double prefill_launch_ = 0;
  double prefill_pair_ = 0;    // seconds per causal query-key pair
  double prefill_token_ = 0;   // seconds per new token
  double context_read_ = 0;    // seconds per cached KV token that a chunk reads
  double context_expand_ = 0;  // seconds per cached latent vector that a chunk expands
};

}  // namespace kvsim
