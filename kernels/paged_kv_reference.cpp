#include <cstring>
#include <stdexcept>

#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {
namespace {

// Calls copy(place in the cache, offset in the chunk, bytes) for every contiguous stretch.
template <class Copy>
void for_each_piece(const KvShape& shape, const KvCache& cache, const KvSpan& span, Copy copy) {
  check_copy(shape, cache, span);
  const KvStrides strides = strides_of(shape, cache.layout);
  for_each_stretch(shape, span,
                   [&](auto part, auto layer, auto block, auto slot, auto token, auto count) {
                     if (block < 0 || block >= shape.blocks) {
                       throw std::invalid_argument("block id out of range");
                     }
                     copy(cache_row(shape, cache, strides, part, layer, block, slot),
                          chunk_offset(shape, span, part, layer, token),
                          static_cast<std::size_t>(count * shape.row_bytes));
                   });
}

}  // namespace

void check_copy(const KvShape& shape, const KvCache& cache, const KvSpan& span) {
  if (shape.layers <= 0 || shape.blocks <= 0 || shape.block_tokens <= 0 || shape.row_bytes <= 0) {
    throw std::invalid_argument("layers, blocks, block_tokens and row_bytes must be positive");
  }
  if (shape.parts != 1 && shape.parts != 2) {
    throw std::invalid_argument("parts must be 2 (K and V) or 1 (latent)");
  }
  if (cache.base == nullptr && cache.layer_bases == nullptr) {
    throw std::invalid_argument("a cache needs an allocation");
  }
  if (cache.layer_bases != nullptr && cache.layout == KvLayout::kBlockFirst) {
    throw std::invalid_argument("a cache of separate layers cannot be block first");
  }
  if (span.block_table == nullptr || span.first_token < 0 || span.tokens <= 0) {
    throw std::invalid_argument("a span needs a block table and at least one token");
  }
  constexpr std::int64_t kTokensMax = std::int64_t{1} << 31;
  if (shape.block_tokens >= kTokensMax || span.first_token + span.tokens >= kTokensMax) {
    throw std::invalid_argument("a span must end below token 2^31");
  }
}

void gather_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                      std::byte* chunk) {
  for_each_piece(shape, cache, span, [&](std::byte* row, auto in_chunk, auto bytes) {
    std::memcpy(chunk + in_chunk, row, bytes);
  });
}

void scatter_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                       const std::byte* chunk) {
  for_each_piece(shape, cache, span, [&](std::byte* row, auto in_chunk, auto bytes) {
    std::memcpy(row, chunk + in_chunk, bytes);
  });
}

}  // namespace kvsim::kernels
