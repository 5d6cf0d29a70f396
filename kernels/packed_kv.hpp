// Gather and scatter of paged KV fused with a change of the number format: bf16 in the cache, one
// byte per number in the chunk (FP8 E4M3 or INT8), each row with a scale of its own, so a chunk
// takes half the bytes plus 4 per row. Lossy. A row with largest magnitude a gets the scale a / 448
// or a / 127; numbers come back as scale * code, rounded to bf16. Error per number x, at most:
//   INT8: scale / 2 + |x| / 256        E4M3: max(|x| / 16, scale / 1024) + |x| / 256
// Rows of zeros come back as zeros. Rows with NaN or infinity are not supported.
//
// Leaves out: scales per head or per tensor, fp16 caches, the layouts of FP8 caches of engines.
#pragma once

#include <cmath>

#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {

enum class PackedFormat { kE4m3, kInt8 };

// The chunk: codes as [part][layer][token][number], then scales (float) as [part][layer][token],
// starting at the next multiple of 16 bytes.
KVSIM_HOST_DEVICE constexpr std::int64_t packed_scales_offset(const KvShape& shape,
                                                              const KvSpan& span) {
  return (span.chunk_bytes(shape) / 2 + 15) / 16 * 16;
}
KVSIM_HOST_DEVICE constexpr std::int64_t packed_bytes(const KvShape& shape, const KvSpan& span) {
  return packed_scales_offset(shape, span) + shape.planes() * span.tokens * 4;
}

KVSIM_HOST_DEVICE inline float packed_scale(PackedFormat format, float largest) {
  return largest / (format == PackedFormat::kE4m3 ? kE4m3Max : kInt8Max);
}

// `inverse` is 1 / scale, or 0 for a scale so small that this would overflow.
KVSIM_HOST_DEVICE inline float packed_inverse(float scale) {
  return scale < 1e-37F ? 0.0F : 1.0F / scale;
}

KVSIM_HOST_DEVICE inline std::uint8_t pack_number(PackedFormat format, Bf16 x, float inverse) {
  const float scaled = to_float(x) * inverse;
  if (format == PackedFormat::kE4m3) return to_e4m3(scaled);
#ifdef __CUDA_ARCH__
  int code = __float2int_rn(scaled);
#else
  int code = static_cast<int>(std::lrint(scaled));
#endif
  constexpr int kMax = static_cast<int>(kInt8Max);
  code = code > kMax ? kMax : (code < -kMax ? -kMax : code);
  return static_cast<std::uint8_t>(static_cast<std::int8_t>(code));
}

KVSIM_HOST_DEVICE inline Bf16 unpack_number(PackedFormat format, std::uint8_t code, float scale) {
  const float number = format == PackedFormat::kE4m3
                           ? e4m3_to_float(code)
                           : static_cast<float>(static_cast<std::int8_t>(code));
  return to_bf16(number * scale);
}

// As check_copy, and rows must be whole bf16 numbers.
void check_packed_copy(const KvShape& shape, const KvCache& cache, const KvSpan& span);

void gather_packed_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                             PackedFormat format, std::byte* packed);
void scatter_packed_reference(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                              PackedFormat format, const std::byte* packed);

}  // namespace kvsim::kernels
