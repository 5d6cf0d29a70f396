#include "sim/perf/llm_profile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/perf/rank_shape.hpp"

namespace kvsim {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

// Weights of a rank by what they are, so that bytes and parameters are counted in one place.
struct WeightCount {
  double quantised = 0;
  double plain = 0;
  double experts = 0;
};

WeightCount count_weights(const LlmProfile& llm, std::int64_t tp, double experts_counted) {
  const RankShape rank = rank_shape(llm, tp);
  WeightCount count;
  const auto add = [&](const std::vector<Linear>& linears, std::int64_t layers) {
    for (const Linear& linear : linears)
      (linear.quantised ? count.quantised : count.plain) += linear.elements() * real(layers);
  };
  add(rank.attention, llm.layers);
  add(rank.dense, rank.dense_layers);
  add(rank.mixture, rank.mixture_layers);
  count.experts = rank.expert_elements * experts_counted * real(rank.mixture_layers);
  count.plain += rank.embedding_elements + (llm.tied_embeddings ? 0 : rank.head.elements());
  count.plain += real(2 * llm.layers + 1) * real(llm.hidden);  // the two norms of a layer, the last
  return count;
}

double all_experts(const LlmProfile& llm) { return llm.mixture ? real(llm.mixture->experts) : 0; }

}  // namespace

double element_bytes(const std::string& dtype) {
  if (dtype == "bf16") return 2;
  if (dtype == "fp8") return 1;
  if (dtype == "mxfp4") return (32 * 4 + 8) / (32.0 * 8);
  throw ConfigError(fmt::format("dtype: found \"{}\"; allowed: bf16, fp8", dtype));
}

void check_tensor_parallel(const LlmProfile& llm, std::int64_t tp) {
  const bool heads_split = tp >= 1 && llm.heads % tp == 0;
  const bool kv_split =
      heads_split && (llm.latent.has_value() || llm.kv_heads % tp == 0 || tp % llm.kv_heads == 0);
  if (!kv_split)
    throw ConfigError(
        fmt::format("tensor parallelism of {}: found {}; allowed: a divisor of its {} heads that "
                    "divides, or is a multiple of, its {} KV heads",
                    llm.name, tp, llm.heads, llm.kv_heads));
}

void LlmProfile::check(const ConfigNode& node) const {
  require_provenance(node, provenance);
  if (!mixture && ff == 0) node.fail("neither \"ff\" nor \"mixture\"", "one of them");
  if (heads % kv_heads != 0)
    node.fail(fmt::format("{} heads and {} KV heads", heads, kv_heads), "a multiple of kv_heads");
  if (!mixture) return;
  if (mixture->experts_per_token > mixture->experts || mixture->dense_layers > layers ||
      (mixture->dense_layers > 0 && mixture->dense_ff == 0))
    node.at("mixture").fail("a contradiction",
                            "experts_per_token <= experts, dense_layers <= layers, and a dense_ff "
                            "when there are dense layers");
}

double LlmProfile::parameters() const {
  const WeightCount count = count_weights(*this, 1, all_experts(*this));
  return count.quantised + count.plain + count.experts;
}

double LlmProfile::active_parameters() const {
  const WeightCount count = count_weights(*this, 1, mixture ? real(mixture->experts_per_token) : 0);
  return count.quantised + count.plain + count.experts;
}

std::int64_t LlmProfile::kv_heads_per_rank(std::int64_t tp) const {
  return std::max<std::int64_t>(1, kv_heads / tp);
}

Bytes LlmProfile::kv_bytes_per_token(const std::string& dtype) const {
  return kv_bytes_per_token_per_rank(dtype, 1);
}

Bytes LlmProfile::kv_bytes_per_token_per_rank(const std::string& dtype, std::int64_t tp) const {
  const std::int64_t elements =
      latent ? latent->kv_rank + latent->rope_dim : 2 * kv_heads_per_rank(tp) * head_dim;
  return Bytes(static_cast<std::int64_t>(real(layers * elements) * element_bytes(dtype)));
}

Bytes LlmProfile::weight_bytes(std::int64_t tp, const std::string& dtype) const {
  const std::string& kept = dtype.empty() ? weight_dtype : dtype;
  const WeightCount count = count_weights(*this, tp, all_experts(*this));
  const double linear = kept == "fp8" ? element_bytes("fp8") : element_bytes("bf16");
  const double expert = kept == "mxfp4-experts" ? element_bytes("mxfp4") : linear;
  return Bytes(static_cast<std::int64_t>(count.quantised * linear + count.experts * expert +
                                         count.plain * element_bytes("bf16")));
}

LlmProfile load_llm(const std::string& name) { return load_profile<LlmProfile>("llm", name); }

}  // namespace kvsim
