// What decode and prefill attention share: a warp that holds 16 queries and meets tiles of keys and
// values in shared memory, with the online softmax of FlashAttention (Dao et al. 2022).
//
// The layout of wmma accumulators over lanes is unspecified, but equal for all accumulators: so the
// output stays in registers and is rescaled by a fragment that holds each row's factor.
#pragma once

#include "kernels/attention.hpp"

#ifdef KVSIM_EMULATED
#include <cmath>

#include "kernels/emulated/mma.hpp"
#else
#include <mma.h>
#endif

namespace kvsim::kernels {

#ifdef KVSIM_EMULATED
namespace wmma = emulated::wmma;
using MmaNumber = Bf16;
#else
namespace wmma = nvcuda::wmma;
using MmaNumber = __nv_bfloat16;
#endif

constexpr int kRows = 16;  // queries per warp: a row is one head of one token
constexpr int kWarpThreads = 32;
constexpr int kWordNumbers = 8;  // bf16 numbers per 16-byte word

using Accumulator = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;

// Sizes of what lies in shared memory. Rows are padded against bank conflicts; each size is a
// multiple of 32 bytes, as wmma wants its pointers.
template <int kHeadDim, int kTokens>
struct TileSizes {
  static constexpr int kStride = kHeadDim + 8;              // numbers from row to row of Q, K, V
  static constexpr int kScoreStride = kTokens + 4;          // floats
  static constexpr int kWeightStride = kTokens + 8;         // numbers
  static constexpr int kOutStride = kHeadDim + 4;           // floats
  static constexpr int kTileBytes = kTokens * kStride * 2;  // K or V
  static constexpr int kScoreBytes = kRows * kScoreStride * 4;
  static constexpr int kWeightBytes = kRows * kWeightStride * 2;
  static constexpr int kOutBytes = kRows * kOutStride * 4;
};

// Where the keys and values of one head of one sequence are.
struct KvSource {
  const Bf16* keys;
  const Bf16* values;
  const std::int32_t* table;
  Divider block_tokens;
  std::int64_t token_stride;  // numbers from token to token

  __device__ std::int64_t offset(int token) const {
    const auto position = static_cast<std::uint32_t>(token);
    const std::uint32_t entry = block_tokens.quotient(position);
    const std::int64_t block = table[entry];
    return (block * block_tokens.divisor + (position - entry * block_tokens.divisor)) *
           token_stride;
  }
};

__device__ inline KvSource kv_source(const AttentionShape& shape, const PagedSequences& sequences,
                                     Divider block_tokens, int sequence, int kv_head) {
  const std::int64_t head = static_cast<std::int64_t>(kv_head) * shape.head_dim;
  return {sequences.keys + head, sequences.values + head,
          sequences.block_tables + static_cast<std::int64_t>(sequence) * sequences.table_stride,
          block_tokens, static_cast<std::int64_t>(shape.kv_heads) * shape.head_dim};
}

// Starts the asynchronous copy of tokens [first, first + kTokens) by `threads` threads; zeros for
// tokens from `end` on, since whatever lies there must not reach the sums.
template <int kHeadDim, int kTokens>
__device__ void load_tile(const KvSource& source, int first, int end, Bf16* keys, Bf16* values,
                          int thread, int threads) {
  constexpr int kRowWords = kHeadDim / kWordNumbers;
  constexpr int kStride = TileSizes<kHeadDim, kTokens>::kStride;
#pragma unroll 4
  for (int word = thread; word < kTokens * kRowWords; word += threads) {
    const int row = word / kRowWords;
    const int column = word % kRowWords * kWordNumbers;
    Bf16* key = keys + row * kStride + column;
    Bf16* value = values + row * kStride + column;
    if (first + row < end) {
      const std::int64_t at = source.offset(first + row) + column;
      __pipeline_memcpy_async(key, source.keys + at, sizeof(uint4));
      __pipeline_memcpy_async(value, source.values + at, sizeof(uint4));
    } else {
      *reinterpret_cast<uint4*>(key) = uint4{0, 0, 0, 0};
      *reinterpret_cast<uint4*>(value) = uint4{0, 0, 0, 0};
    }
  }
}

// Sixteen queries of one warp. Lane l keeps the maximum and sum of row l / 2.
template <int kHeadDim, int kTokens>
class WarpTile {
 public:
  using Sizes = TileSizes<kHeadDim, kTokens>;

  // `queries`: 16 padded rows in shared memory. `scores` and `weights`: this warp's own.
  __device__ WarpTile(const Bf16* queries, float* scores, Bf16* weights, int lane, float scale)
      : scores_(scores), weights_(weights), lane_(lane), scale_(scale * 1.44269504F) {
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      wmma::load_matrix_sync(queries_[k], as_mma(queries + k * 16), Sizes::kStride);
      wmma::fill_fragment(out_[k], 0.0F);
    }
  }

  // Adds a tile whose first token is `first`; this lane's row sees tokens below `limit`.
  __device__ void add(const Bf16* keys, const Bf16* values, int first, int limit) {
    score(keys);
    __syncwarp();
    const float factor = weigh(first, limit);
    __syncwarp();
    float* factors = scores_;  // [column][row]: the scores are no longer needed
#pragma unroll
    for (int i = 0; i < 8; ++i) factors[(lane_ % 2 * 8 + i) * 16 + row()] = factor;
    __syncwarp();
    rescale(factors);
    multiply(values);
    __syncwarp();
  }

  // The sums so far, not divided by sum(), as [row][kOutStride].
  __device__ void store(float* out) const {
#pragma unroll
    for (int d = 0; d < kSteps; ++d) {
      wmma::store_matrix_sync(out + d * 16, out_[d], Sizes::kOutStride, wmma::mem_row_major);
    }
  }

  [[nodiscard]] __device__ int row() const { return lane_ / 2; }
  [[nodiscard]] __device__ float sum() const { return sum_; }
  // In powers of two; kNothing when the row has seen no token.
  [[nodiscard]] __device__ float largest() const { return largest_; }

  static constexpr float kNothing = -1e30F;

 private:
  static constexpr int kSteps = kHeadDim / 16;
  using Left = wmma::fragment<wmma::matrix_a, 16, 16, 16, MmaNumber, wmma::row_major>;

  __device__ static const MmaNumber* as_mma(const Bf16* x) {
    return reinterpret_cast<const MmaNumber*>(x);
  }

  __device__ void score(const Bf16* keys) {
#pragma unroll
    for (int n = 0; n < kTokens / 16; ++n) {
      Accumulator sum;
      wmma::fill_fragment(sum, 0.0F);
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        wmma::fragment<wmma::matrix_b, 16, 16, 16, MmaNumber, wmma::col_major> transposed;
        wmma::load_matrix_sync(transposed, as_mma(keys + n * 16 * Sizes::kStride + k * 16),
                               Sizes::kStride);
        wmma::mma_sync(sum, queries_[k], transposed, sum);
      }
      wmma::store_matrix_sync(scores_ + n * 16, sum, Sizes::kScoreStride, wmma::mem_row_major);
    }
  }

  // Scores to weights; returns by what the row's earlier sums shrink. Two lanes share a row.
  __device__ float weigh(int first, int limit) {
    constexpr int kHalf = kTokens / 2;
    const int column = lane_ % 2 * kHalf;
    const float* scores = scores_ + row() * Sizes::kScoreStride + column;
    Bf16* weights = weights_ + row() * Sizes::kWeightStride + column;
    const int visible = limit - first - column;
    float largest = largest_;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      if (i < visible) largest = larger(largest, scores[i] * scale_);
    }
    largest = larger(largest, __shfl_xor_sync(0xffffffffU, largest, 1));
    float added = 0;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      weights[i] = to_bf16(i < visible ? exp2f(scores[i] * scale_ - largest) : 0.0F);
      added += to_float(weights[i]);
    }
    added += __shfl_xor_sync(0xffffffffU, added, 1);
    const float factor = exp2f(largest_ - largest);
    sum_ = sum_ * factor + added;
    largest_ = largest;
    return factor;
  }

  __device__ void rescale(const float* factors) {
    Accumulator factor;
    wmma::load_matrix_sync(factor, factors, 16, wmma::mem_col_major);
#pragma unroll
    for (int d = 0; d < kSteps; ++d) {
#pragma unroll
      for (int i = 0; i < Accumulator::num_elements; ++i) out_[d].x[i] *= factor.x[i];
    }
  }

  __device__ void multiply(const Bf16* values) {
#pragma unroll
    for (int t = 0; t < kTokens / 16; ++t) {
      Left weights;
      wmma::load_matrix_sync(weights, as_mma(weights_ + t * 16), Sizes::kWeightStride);
#pragma unroll
      for (int d = 0; d < kSteps; ++d) {
        wmma::fragment<wmma::matrix_b, 16, 16, 16, MmaNumber, wmma::row_major> right;
        wmma::load_matrix_sync(right, as_mma(values + t * 16 * Sizes::kStride + d * 16),
                               Sizes::kStride);
        wmma::mma_sync(out_[d], weights, right, out_[d]);
      }
    }
  }

  __device__ static float larger(float a, float b) { return a > b ? a : b; }

  Left queries_[kSteps];
  Accumulator out_[kSteps];
  float* scores_;
  Bf16* weights_;
  int lane_;
  float scale_;  // scores times log2(e), so that exp2 does
  float largest_ = kNothing;
  float sum_ = 0;
};

}  // namespace kvsim::kernels
