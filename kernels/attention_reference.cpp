#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "kernels/attention.hpp"

namespace kvsim::kernels {
namespace {

// One query over the first `visible` tokens of its sequence.
void attend(const AttentionShape& shape, const PagedSequences& sequences, const std::int32_t* table,
            int kv_head, int visible, const Bf16* query, Bf16* out) {
  const auto at = [&](int token) {
    const std::int64_t block = table[token / shape.block_tokens];
    const std::int64_t row = block * shape.block_tokens + token % shape.block_tokens;
    return (row * shape.kv_heads + kv_head) * shape.head_dim;
  };
  std::vector<double> weights(static_cast<std::size_t>(visible));
  double largest = -INFINITY;
  for (int t = 0; t < visible; ++t) {
    double score = 0;
    for (int d = 0; d < shape.head_dim; ++d) {
      score += static_cast<double>(to_float(query[d])) * to_float(sequences.keys[at(t) + d]);
    }
    weights[static_cast<std::size_t>(t)] = score * shape.scale;
    largest = std::max(largest, score * shape.scale);
  }
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  for (int d = 0; d < shape.head_dim; ++d) {
    double value = 0;
    for (int t = 0; t < visible; ++t) {
      value += weights[static_cast<std::size_t>(t)] * to_float(sequences.values[at(t) + d]);
    }
    out[d] = to_bf16(static_cast<float>(value / sum));
  }
}

}  // namespace

void check_attention(const AttentionShape& shape, const PagedSequences& sequences, int chunk) {
  if (shape.heads <= 0 || shape.kv_heads <= 0 || shape.head_dim <= 0 || shape.block_tokens <= 0 ||
      sequences.sequences <= 0 || sequences.table_stride <= 0 || chunk <= 0) {
    throw std::invalid_argument("sizes of attention must be positive");
  }
  if (shape.heads % shape.kv_heads != 0) {
    throw std::invalid_argument("kv_heads must divide heads");
  }
}

void attention_reference(const AttentionShape& shape, const PagedSequences& sequences, int chunk,
                         const Bf16* queries, Bf16* out) {
  check_attention(shape, sequences, chunk);
  for (int s = 0; s < sequences.sequences; ++s) {
    const std::int32_t* table =
        sequences.block_tables + static_cast<std::ptrdiff_t>(s) * sequences.table_stride;
    for (int t = 0; t < chunk; ++t) {
      for (int head = 0; head < shape.heads; ++head) {
        const std::int64_t row = (static_cast<std::int64_t>(s) * chunk + t) * shape.heads + head;
        attend(shape, sequences, table, head / shape.group(),
               sequences.kv_lengths[s] - chunk + t + 1, queries + row * shape.head_dim,
               out + row * shape.head_dim);
      }
    }
  }
}

int decode_splits(const AttentionShape& shape, int sequences, int kv_length, int multiprocessors) {
  constexpr int kTokensMin = 256;  // below, a part is mostly start and merge
  constexpr int kSplitsMax = 64;
  constexpr int kBlocksPerMultiprocessor = 4;  // two at a time, twice, so that the tail is short
  const std::int64_t blocks = static_cast<std::int64_t>(sequences) * shape.kv_heads;
  const std::int64_t wanted = (kBlocksPerMultiprocessor * multiprocessors + blocks - 1) / blocks;
  const std::int64_t most = std::clamp(kv_length / kTokensMin, 1, kSplitsMax);
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most));
}

std::int64_t decode_workspace(const AttentionShape& shape, int sequences, int splits) {
  return static_cast<std::int64_t>(sequences) * shape.heads * splits * (shape.head_dim + 2);
}

}  // namespace kvsim::kernels
