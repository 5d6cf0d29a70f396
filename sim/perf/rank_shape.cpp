#include "sim/perf/rank_shape.hpp"

namespace kvsim {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

std::vector<Linear> attention_of(const LlmProfile& llm, const RankShape& rank) {
  if (llm.latent) {
    const LatentShape& l = *llm.latent;
    return {{l.query_rank + l.kv_rank + l.rope_dim, llm.hidden},  // replicated on every rank
            {rank.heads * (l.nope_dim + l.rope_dim), l.query_rank},
            {rank.heads * (l.nope_dim + l.value_dim), l.kv_rank},
            {llm.hidden, rank.heads * l.value_dim}};
  }
  return {{(rank.heads + 2 * rank.kv_heads) * llm.head_dim, llm.hidden},
          {llm.hidden, rank.heads * llm.head_dim}};
}

std::vector<Linear> feed_forward(const LlmProfile& llm, std::int64_t ff) {
  return {{(llm.gated ? 2 : 1) * ff, llm.hidden}, {llm.hidden, ff}};
}

}  // namespace

RankShape rank_shape(const LlmProfile& llm, std::int64_t tp) {
  check_tensor_parallel(llm, tp);
  RankShape rank;
  rank.heads = llm.heads / tp;
  rank.kv_heads = llm.kv_heads_per_rank(tp);
  rank.attention = attention_of(llm, rank);
  rank.dense_layers = llm.layers;
  std::int64_t dense_ff = groups_of(llm.ff, tp);
  const double qkv = real(rank.attention.front().out);
  const double matrices = llm.gated ? 3 : 2;
  if (llm.mixture) {
    const MixtureShape& mixture = *llm.mixture;
    rank.dense_layers = mixture.dense_layers;
    rank.mixture_layers = llm.layers - mixture.dense_layers;
    dense_ff = groups_of(mixture.dense_ff, tp);
    const std::int64_t expert_ff = groups_of(mixture.expert_ff, tp);
    const std::int64_t shared_ff = groups_of(mixture.shared_experts * mixture.expert_ff, tp);
    rank.mixture = {{mixture.experts, llm.hidden, false}};
    if (shared_ff > 0)
      for (const Linear& linear : feed_forward(llm, shared_ff)) rank.mixture.push_back(linear);
    rank.expert_elements = matrices * real(expert_ff) * real(llm.hidden);
    const double width = real(mixture.experts_per_token * expert_ff + shared_ff);
    rank.elementwise_mixture = 6 * real(llm.hidden) + 3 * width + 2 * qkv;
  }
  if (rank.dense_layers > 0) rank.dense = feed_forward(llm, dense_ff);
  rank.elementwise_dense = 6 * real(llm.hidden) + 3 * real(dense_ff) + 2 * qkv;
  rank.head = {groups_of(llm.vocabulary, tp), llm.hidden, false};
  rank.embedding_elements = rank.head.elements();
  return rank;
}

}  // namespace kvsim
