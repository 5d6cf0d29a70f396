// What one tensor-parallel rank holds and multiplies: the matrices of each kind of layer. Weight
// bytes and step times are both counted from this list (spec: perf_model 1.1).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/perf/llm_profile.hpp"

namespace kvsim {

// A weight matrix of `out` rows and `in` columns: m tokens cost 2 m out in operations.
struct Linear {
  std::int64_t out = 0;
  std::int64_t in = 0;
  bool quantised = true;  // follows the weight dtype; false = stays bf16
  [[nodiscard]] double elements() const {
    return static_cast<double>(out) * static_cast<double>(in);
  }
};

struct RankShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::vector<Linear> attention;  // of every layer
  std::int64_t dense_layers = 0;  // layers with one feed-forward network...
  std::vector<Linear> dense;
  std::int64_t mixture_layers = 0;  // ...and layers with experts: router and shared experts here,
  std::vector<Linear> mixture;
  double expert_elements = 0;  // weights of one routed expert on this rank
  Linear head;                 // LM head: one row per vocabulary entry of this rank
  double embedding_elements = 0;
  // Elements moved per token by the small kernels of a layer (norms, rotary, activation, residual):
  // 6 hidden + (3 ff + 2 qkv) / tp, as in the composed steps the coefficients were checked with.
  double elementwise_dense = 0;
  double elementwise_mixture = 0;
};

// Throws ConfigError when the heads cannot be split over `tp` ranks.
RankShape rank_shape(const LlmProfile& llm, std::int64_t tp);

}  // namespace kvsim
