// Copies of KV between a paged cache and one contiguous chunk: what an offloading connector does
// before a copy to the host (gather) and after one from the host (scatter). Here: the layouts, and
// plain C++ versions that say what the device versions (paged_kv_device.hpp) must compute.
// Conversion of the number format on the way: packed_kv.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/host_device.hpp"

namespace kvsim::kernels {

// Order of the paged cache in memory, slowest index first. "part" is K or V (MLA has one part, the
// latent), a "row" is what one token stores for one part of one layer.
enum class KvLayout {
  kLayerFirst,    // [layer][part][block][token][row]: a block is scattered over all layers
  kBlockFirst,    // [block][layer][part][token][row]: a block is one piece of memory
  kBlockInLayer,  // [layer][block][part][token][row]: one piece per layer and block
};

struct KvShape {
  std::int64_t layers = 0;
  std::int64_t blocks = 0;        // in the whole cache
  std::int64_t block_tokens = 0;  // tokens per block
  std::int64_t row_bytes = 0;     // kv_heads * head_dim * bytes per number
  std::int64_t parts = 2;         // K and V; 1 for MLA

  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t planes() const { return layers * parts; }
  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t layer_bytes() const {
    return parts * blocks * block_tokens * row_bytes;
  }
  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t cache_bytes() const {
    return layers * layer_bytes();
  }
};

// Where the cache is: one allocation, or one per layer (as vLLM allocates it; then not block
// first). `layer_bases` has an entry per layer and, like what it points to, lies on the device for
// device copies. Owns nothing.
struct KvCache {
  KvLayout layout = KvLayout::kLayerFirst;
  std::byte* base = nullptr;
  std::byte* const* layer_bases = nullptr;  // used instead of base when not null
};

// Tokens [first_token, first_token + tokens) of a sequence whose i-th block is block_table[i]. The
// chunk holds them as [part][layer][token][row]. first_token need not start a block.
struct KvSpan {
  const std::int32_t* block_table = nullptr;  // not owned; on the device for device copies
  std::int64_t first_token = 0;
  std::int64_t tokens = 0;

  [[nodiscard]] KVSIM_HOST_DEVICE constexpr std::int64_t chunk_bytes(const KvShape& shape) const {
    return shape.planes() * tokens * shape.row_bytes;
  }
};

// Bytes from one index to the next of the cache.
struct KvStrides {
  std::int64_t layer;  // not used when layers are separate allocations
  std::int64_t part;
  std::int64_t block;
};

KVSIM_HOST_DEVICE constexpr KvStrides strides_of(const KvShape& shape, KvLayout layout) {
  const std::int64_t tile = shape.block_tokens * shape.row_bytes;
  if (layout == KvLayout::kLayerFirst) return {shape.layer_bytes(), shape.blocks * tile, tile};
  if (layout == KvLayout::kBlockFirst) return {shape.parts * tile, tile, shape.planes() * tile};
  return {shape.layer_bytes(), tile, shape.parts * tile};
}

// The row of a token in the cache: `slot` counts within `block`.
KVSIM_HOST_DEVICE constexpr std::byte* cache_row(const KvShape& shape, const KvCache& cache,
                                                 const KvStrides& strides, std::int64_t part,
                                                 std::int64_t layer, std::int64_t block,
                                                 std::int64_t slot) {
  std::byte* base =
      cache.layer_bases != nullptr ? cache.layer_bases[layer] : cache.base + layer * strides.layer;
  return base + part * strides.part + block * strides.block + slot * shape.row_bytes;
}

// Byte offset in the chunk of the row of the span's token number `token`.
KVSIM_HOST_DEVICE constexpr std::int64_t chunk_offset(const KvShape& shape, const KvSpan& span,
                                                      std::int64_t part, std::int64_t layer,
                                                      std::int64_t token) {
  return ((part * shape.layers + layer) * span.tokens + token) * shape.row_bytes;
}

// Throws std::invalid_argument for sizes <= 0, null pointers, block first with separate layers, and
// spans that end beyond token 2^31.
void check_copy(const KvShape& shape, const KvCache& cache, const KvSpan& span);

// Cache to chunk and back, on the host. O(bytes of the chunk). Block ids must be below
// shape.blocks (std::invalid_argument otherwise) and, for scatter, distinct.
void gather_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                      std::byte* chunk);
void scatter_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                       const std::byte* chunk);

// Calls copy(part, layer, block, slot, token, tokens) for every stretch that is contiguous in cache
// and chunk: the tokens of one block, of one plane. Planes in the order of the chunk.
template <class Copy>
void for_each_stretch(const KvShape& shape, const KvSpan& span, Copy copy) {
  for (std::int64_t plane = 0; plane < shape.planes(); ++plane) {
    for (std::int64_t token = 0; token < span.tokens;) {
      const std::int64_t position = span.first_token + token;
      const std::int64_t slot = position % shape.block_tokens;
      const std::int64_t left = span.tokens - token;
      const std::int64_t count =
          left < shape.block_tokens - slot ? left : shape.block_tokens - slot;
      copy(plane / shape.layers, plane % shape.layers,
           std::int64_t{span.block_table[position / shape.block_tokens]}, slot, token, count);
      token += count;
    }
  }
}

}  // namespace kvsim::kernels
