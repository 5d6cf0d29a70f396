// Copies of KV between a paged cache and one contiguous chunk: what an offloading connector does
// before a copy to the host (gather) and after one from the host (scatter). Here: the layouts, and
// plain C++ versions that say what the device versions (paged_kv_device.hpp) must compute.
//
// Leaves out: caches whose layers are separate allocations, MLA (one latent instead of K and V),
// and conversion of the number format on the way.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define KVSIM_HOST_DEVICE __host__ __device__
#else
#define KVSIM_HOST_DEVICE
#endif

namespace kvsim::kernels {

// Order of the paged cache in memory, slowest index first. "part" is K or V, a "row" is what one
// token stores for one part of one layer.
enum class KvLayout {
  kLayerFirst,  // [layer][part][block][token][row]: a block is scattered over all layers
  kBlockFirst,  // [block][layer][part][token][row]: a block is one piece of memory
};

struct KvShape {
  std::int64_t layers = 0;
  std::int64_t blocks = 0;        // in the whole cache
  std::int64_t block_tokens = 0;  // tokens per block
  std::int64_t row_bytes = 0;     // kv_heads * head_dim * bytes per number; a multiple of 16

  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t cache_bytes() const {
    return layers * 2 * blocks * block_tokens * row_bytes;
  }
};

// Tokens [first_token, first_token + tokens) of a sequence whose i-th block is block_table[i]. The
// chunk holds them as [part][layer][token][row]. first_token need not start a block.
struct KvSpan {
  const std::int32_t* block_table = nullptr;  // not owned; on the device for device copies
  std::int64_t first_token = 0;
  std::int64_t tokens = 0;

  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t chunk_bytes(const KvShape& shape) const {
    return 2 * shape.layers * tokens * shape.row_bytes;
  }
};

// Byte offset in the cache of the row of a token: `slot` counts within `block`.
KVSIM_HOST_DEVICE constexpr std::int64_t cache_offset(const KvShape& shape, KvLayout layout,
                                                      std::int64_t part, std::int64_t layer,
                                                      std::int64_t block, std::int64_t slot) {
  const std::int64_t outer = layout == KvLayout::kLayerFirst
                                 ? (layer * 2 + part) * shape.blocks + block
                                 : (block * shape.layers + layer) * 2 + part;
  return (outer * shape.block_tokens + slot) * shape.row_bytes;
}

// Byte offset in the chunk of the row of the span's token number `token`.
KVSIM_HOST_DEVICE constexpr std::int64_t chunk_offset(const KvShape& shape, const KvSpan& span,
                                                      std::int64_t part, std::int64_t layer,
                                                      std::int64_t token) {
  return ((part * shape.layers + layer) * span.tokens + token) * shape.row_bytes;
}

// Throws std::invalid_argument for sizes <= 0 or a row that is no multiple of 16 bytes.
void check_copy(const KvShape& shape, const KvSpan& span);

// Cache to chunk and back, on the host. O(bytes of the chunk). Block ids must be below
// shape.blocks (std::invalid_argument otherwise) and, for scatter, distinct.
void gather_reference(const KvShape& shape, KvLayout layout, const KvSpan& span,
                      const std::byte* cache, std::byte* chunk);
void scatter_reference(const KvShape& shape, KvLayout layout, const KvSpan& span,
                       const std::byte* chunk, std::byte* cache);

}  // namespace kvsim::kernels
