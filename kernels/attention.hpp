// Attention over a paged KV cache, bf16, grouped query heads: for each sequence the queries of its
// last `chunk` tokens over all its keys and values, causally. chunk = 1 is a decode step; a longer
// chunk over earlier context is chunked prefill. The device versions keep scores in float and round
// weights to bf16 before they meet the values, as FlashAttention does; they stay within 1/256 of
// the largest |value| of the reference.
//
// Leaves out: FP8 caches, sliding windows, MLA's attention, chunks of different lengths in a batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels {

struct AttentionShape {
  int heads = 0;
  int kv_heads = 0;  // divides heads
  int head_dim = 0;  // 64 or 128 on the device
  int block_tokens = 0;
  float scale = 0;  // of the scores; usually 1 / sqrt(head_dim)

  [[nodiscard]] KVSIM_HOST_DEVICE constexpr int group() const { return heads / kv_heads; }
};

// Keys and values of one layer as [block][token][kv_head][head_dim], i-th block of sequence s at
// block_tables[s * table_stride + i]. Owns nothing; all on the device for device versions.
struct PagedSequences {
  const Bf16* keys = nullptr;
  const Bf16* values = nullptr;
  const std::int32_t* block_tables = nullptr;
  const std::int32_t* kv_lengths = nullptr;  // per sequence, the chunk included; >= chunk
  int table_stride = 0;
  int sequences = 0;
};

// Throws std::invalid_argument for sizes <= 0, heads that kv_heads does not divide, chunk < 1.
void check_attention(const AttentionShape& shape, const PagedSequences& sequences, int chunk);

// In double. Queries and out: [sequence][token of the chunk][head][head_dim].
void attention_reference(const AttentionShape& shape, const PagedSequences& sequences, int chunk,
                         const Bf16* queries, Bf16* out);

// --- device: pointers aligned to 16 bytes; enqueue on `stream` and return. Throw as
// check_attention, and for head_dim other than 64 and 128; DeviceError when a launch fails.

// Into how many parts decode should cut each sequence so that the GPU is busy.
int decode_splits(const AttentionShape& shape, int sequences, int kv_length, int multiprocessors);
// Floats that decode needs to hold what its parts found.
std::int64_t decode_workspace(const AttentionShape& shape, int sequences, int splits);

// chunk = 1; queries and out: [sequence][head][head_dim].
void decode_attention_device(const AttentionShape& shape, const PagedSequences& sequences,
                             int splits, const Bf16* queries, float* workspace, Bf16* out,
                             cudaStream_t stream);
void prefill_attention_device(const AttentionShape& shape, const PagedSequences& sequences,
                              int chunk, const Bf16* queries, Bf16* out, cudaStream_t stream);

}  // namespace kvsim::kernels
