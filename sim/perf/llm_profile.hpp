// The shape of a language model: enough to count its parameters, its weight and KV bytes and the
// operations of a step. Files: models/llm/*.json.
//
// Leaves out biases and normalisation weights of query and key (below 0.1 % of the parameters),
// multi-token-prediction heads, and vision towers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/perf/provenance.hpp"

namespace kvsim {

// Mixture of experts. The first `dense_layers` layers have one dense feed-forward network of width
// `dense_ff` instead.
struct MixtureShape {
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
  std::int64_t expert_ff = 0;
  std::int64_t shared_experts = 0;  // each of width expert_ff, run for every token
  std::int64_t dense_layers = 0;
  std::int64_t dense_ff = 0;

  template <class F>
  void fields(F& f) {
    f.required("experts", experts, Range{1, 4096}, "Routed experts a layer.");
    f.required("experts_per_token", experts_per_token, Range{1, 4096}, "Routed to, per token.");
    f.required("expert_ff", expert_ff, Range{1, 1e6}, "Width of one expert.");
    f.optional("shared_experts", shared_experts, Range{0, 64}, "Experts every token uses.");
    f.optional("dense_layers", dense_layers, Range{0, 1000}, "Leading layers without experts.");
    f.optional("dense_ff", dense_ff, Range{0, 1e6}, "Feed-forward width of those layers.");
  }
};

// Multi-head latent attention: one compressed vector per token and layer, shared by all heads.
struct LatentShape {
  std::int64_t kv_rank = 0;
  std::int64_t rope_dim = 0;
  std::int64_t nope_dim = 0;
  std::int64_t value_dim = 0;
  std::int64_t query_rank = 0;

  template <class F>
  void fields(F& f) {
    f.required("kv_rank", kv_rank, Range{1, 65536}, "Width of the compressed KV vector.");
    f.required("rope_dim", rope_dim, Range{0, 4096}, "Rotary part of a key, shared by the heads.");
    f.required("nope_dim", nope_dim, Range{1, 4096}, "Other part of a key, per head.");
    f.required("value_dim", value_dim, Range{1, 4096}, "Width of a value, per head.");
    f.required("query_rank", query_rank, Range{1, 65536}, "Width of the compressed query.");
  }
};

struct SlidingWindow {
  std::int64_t tokens = 0;
  double layer_fraction = 1;

  template <class F>
  void fields(F& f) {
    f.required("tokens", tokens, Range{1, 1e9}, "Tokens that such a layer still reads.");
    f.required("layer_fraction", layer_fraction, Range{0, 1}, "Share of the layers with a window.");
  }
};

struct LlmProfile {
  std::string schema;
  std::string name;
  std::vector<std::string> aliases;
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ff = 0;
  bool gated = true;
  std::int64_t vocabulary = 0;
  bool tied_embeddings = false;
  std::optional<MixtureShape> mixture;
  std::optional<LatentShape> latent;
  std::optional<SlidingWindow> window;
  std::string weight_dtype = "bf16";
  std::string kv_dtype = "bf16";
  std::int64_t max_model_len = 0;
  bool sampling_filter = false;  // published generation settings: top-p or top-k
  double published_parameters = 0;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.llm/1"}, "What this file is.");
    f.required("name", name, "The profile's name: that of its file.");
    f.optional("aliases", aliases, "Other names, such as the model hub's.");
    f.required("layers", layers, Range{1, 1000}, "Transformer layers.");
    f.required("hidden", hidden, Range{1, 1e6}, "Width of the residual stream.");
    f.required("heads", heads, Range{1, 4096}, "Query heads.");
    f.required("kv_heads", kv_heads, Range{1, 4096}, "Key and value heads.");
    f.required("head_dim", head_dim, Range{1, 4096}, "Width of a head.");
    f.optional("ff", ff, Range{0, 1e6}, "Feed-forward width; 0 when all layers have experts.");
    f.optional("gated", gated, "Feed-forward with a gate (three matrices instead of two).");
    f.required("vocabulary", vocabulary, Range{1, 1e7}, "Rows of the embedding.");
    f.optional("tied_embeddings", tied_embeddings, "The LM head shares the embedding's weights.");
    f.optional("mixture", mixture, "Mixture of experts.");
    f.optional("latent", latent, "Multi-head latent attention.");
    f.optional("window", window, "Sliding-window attention.");
    f.choice("weight_dtype", weight_dtype, {"bf16", "fp8", "mxfp4-experts"},
             "Weights as published; embedding and LM head stay bf16.");
    f.choice("kv_dtype", kv_dtype, {"bf16", "fp8"}, "KV cache unless the engine says otherwise.");
    f.required("max_model_len", max_model_len, Range{1, 1e9}, "Longest context, tokens.");
    f.optional("sampling_filter", sampling_filter,
               "The published generation settings ask for top-p or top-k, which a server applies "
               "when a request does not say otherwise.");
    f.required("published_parameters", published_parameters, Range{1, 1e15},
               "Parameters as the model's authors state them.");
    f.required("provenance", provenance, "Where the shapes come from.");
  }
  void check(const ConfigNode& node) const;

  // Weights counted from the shapes: all, and those that one token uses.
  [[nodiscard]] double parameters() const;
  [[nodiscard]] double active_parameters() const;

  // KV heads that one of `tp` ranks keeps: heads are replicated when there are fewer than ranks.
  [[nodiscard]] std::int64_t kv_heads_per_rank(std::int64_t tp) const;
  // KV bytes of one token over all layers, each head once (spec: 2 L kv dh bytes; latent: L (rank +
  // rope) bytes), and what one of `tp` ranks holds of it (latent vectors are replicated).
  [[nodiscard]] Bytes kv_bytes_per_token(const std::string& kv_dtype) const;
  [[nodiscard]] Bytes kv_bytes_per_token_per_rank(const std::string& kv_dtype,
                                                  std::int64_t tp) const;
  // Weight bytes on one of `tp` ranks. An empty dtype means the published one.
  [[nodiscard]] Bytes weight_bytes(std::int64_t tp, const std::string& weight_dtype = "") const;
};

LlmProfile load_llm(const std::string& name);

// Bytes of one weight or KV element; mxfp4 is 4 bits and a shared 8-bit scale per 32.
double element_bytes(const std::string& dtype);

// Throws ConfigError unless a model's heads can be split over `tp` ranks as the engine does.
void check_tensor_parallel(const LlmProfile& llm, std::int64_t tp);

}  // namespace kvsim
