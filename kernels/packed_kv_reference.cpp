#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/packed_kv.hpp"

namespace kvsim::kernels {
namespace {

// Calls row(place in the cache, number of the row in the chunk) for each token of each plane.
template <class Row>
void for_each_row(const KvShape& shape, const KvCache& cache, const KvSpan& span, Row row) {
  check_packed_copy(shape, cache, span);
  const KvStrides strides = strides_of(shape, cache.layout);
  for_each_stretch(shape, span,
                   [&](auto part, auto layer, auto block, auto slot, auto token, auto count) {
                     for (std::int64_t i = 0; i < count; ++i) {
                       row(reinterpret_cast<Bf16*>(
                               cache_row(shape, cache, strides, part, layer, block, slot + i)),
                           (part * shape.layers + layer) * span.tokens + token + i);
                     }
                   });
}

}  // namespace

void check_packed_copy(const KvShape& shape, const KvCache& cache, const KvSpan& span) {
  check_copy(shape, cache, span);
  if (shape.row_bytes % 2 != 0) {
    throw std::invalid_argument("row_bytes must be even: a cache to pack holds bf16");
  }
}

void gather_packed_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                             PackedFormat format, std::byte* packed) {
  const std::int64_t numbers = shape.row_bytes / 2;
  auto* codes = reinterpret_cast<std::uint8_t*>(packed);
  auto* scales = reinterpret_cast<float*>(packed + packed_scales_offset(shape, span));
  for_each_row(shape, cache, span, [&](const Bf16* values, std::int64_t row) {
    float largest = 0;
    for (std::int64_t i = 0; i < numbers; ++i) {
      largest = std::max(largest, std::abs(to_float(values[i])));
    }
    scales[row] = packed_scale(format, largest);
    const float inverse = packed_inverse(scales[row]);
    for (std::int64_t i = 0; i < numbers; ++i) {
      codes[row * numbers + i] = pack_number(format, values[i], inverse);
    }
  });
}

void scatter_packed_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                              PackedFormat format, const std::byte* packed) {
  const std::int64_t numbers = shape.row_bytes / 2;
  const auto* codes = reinterpret_cast<const std::uint8_t*>(packed);
  const auto* scales = reinterpret_cast<const float*>(packed + packed_scales_offset(shape, span));
  for_each_row(shape, cache, span, [&](Bf16* values, std::int64_t row) {
    for (std::int64_t i = 0; i < numbers; ++i) {
      values[i] = unpack_number(format, codes[row * numbers + i], scales[row]);
    }
  });
}

}  // namespace kvsim::kernels
