#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {
namespace {

// Calls copy(cache offset, chunk offset, bytes) for every stretch that is contiguous in both: the
// tokens of one block, of one part of one layer.
template <class Copy>
void for_each_stretch(const KvShape& shape, KvLayout layout, const KvSpan& span, Copy copy) {
  for (std::int64_t token = 0; token < span.tokens;) {
    const std::int64_t position = span.first_token + token;
    const std::int64_t block = span.block_table[position / shape.block_tokens];
    if (block < 0 || block >= shape.blocks) throw std::invalid_argument("block id out of range");
    const std::int64_t slot = position % shape.block_tokens;
    const std::int64_t count = std::min(shape.block_tokens - slot, span.tokens - token);
    for (std::int64_t part = 0; part < 2; ++part) {
      for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
        copy(cache_offset(shape, layout, part, layer, block, slot),
             chunk_offset(shape, span, part, layer, token), count * shape.row_bytes);
      }
    }
    token += count;
  }
}

}  // namespace

void check_copy(const KvShape& shape, const KvSpan& span) {
  if (shape.layers <= 0 || shape.blocks <= 0 || shape.block_tokens <= 0) {
    throw std::invalid_argument("layers, blocks and block_tokens must be positive");
  }
  if (shape.row_bytes <= 0 || shape.row_bytes % 16 != 0) {
    throw std::invalid_argument("row_bytes must be a positive multiple of 16");
  }
  if (span.block_table == nullptr || span.first_token < 0 || span.tokens <= 0) {
    throw std::invalid_argument("a span needs a block table and at least one token");
  }
}

void gather_reference(const KvShape& shape, KvLayout layout, const KvSpan& span,
                      const std::byte* cache, std::byte* chunk) {
  check_copy(shape, span);
  for_each_stretch(shape, layout, span, [&](auto in_cache, auto in_chunk, auto bytes) {
    std::memcpy(chunk + in_chunk, cache + in_cache, static_cast<std::size_t>(bytes));
  });
}

void scatter_reference(const KvShape& shape, KvLayout layout, const KvSpan& span,
                       const std::byte* chunk, std::byte* cache) {
  check_copy(shape, span);
  for_each_stretch(shape, layout, span, [&](auto in_cache, auto in_chunk, auto bytes) {
    std::memcpy(cache + in_cache, chunk + in_chunk, static_cast<std::size_t>(bytes));
  });
}

}  // namespace kvsim::kernels
