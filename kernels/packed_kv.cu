#include <stdexcept>

#include "kernels/packed_kv_device.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kWarpThreads = 32;
constexpr unsigned kWarps = 8;

struct PackedPlan {
  KvShape shape;
  KvCache cache;
  KvSpan span;
  KvStrides strides;
  std::uint8_t* codes;
  float* scales;
  std::int64_t rows;
  Divider block_tokens;
};

// Numbers that a lane reads at once: 16 bytes of bf16, 8 bytes of codes; or one by one where a row
// is no multiple of 16 bytes.
template <unsigned kCount>
struct alignas(kCount * 2) Values {
  Bf16 at[kCount];
};
template <unsigned kCount>
struct alignas(kCount) Codes {
  std::uint8_t at[kCount];
};

__device__ Bf16* row_in_cache(const PackedPlan& plan, std::int64_t row) {
  const std::int64_t plane = row / plan.span.tokens;
  const auto position = static_cast<std::uint32_t>(plan.span.first_token + row % plan.span.tokens);
  const std::uint32_t entry = plan.block_tokens.quotient(position);
  return reinterpret_cast<Bf16*>(cache_row(
      plan.shape, plan.cache, plan.strides, plane / plan.shape.layers, plane % plan.shape.layers,
      plan.span.block_table[entry], plan.block_tokens.remainder(position)));
}

__device__ float largest_of_warp(float x) {
  for (int mask = 16; mask > 0; mask /= 2) {
    const float other = __shfl_xor_sync(0xffffffffU, x, mask);
    x = other > x ? other : x;
  }
  return x;
}

// The second pass over the row finds it in the L1 cache.
template <PackedFormat kFormat, unsigned kCount>
__device__ void pack_row(const PackedPlan& plan, std::int64_t row, unsigned lane) {
  const std::int64_t numbers = plan.shape.row_bytes / 2;
  const auto* values = reinterpret_cast<const Values<kCount>*>(row_in_cache(plan, row));
  auto* codes = reinterpret_cast<Codes<kCount>*>(plan.codes + row * numbers);
  float largest = 0;
#pragma unroll 4
  for (std::int64_t word = lane; word < numbers / kCount; word += kWarpThreads) {
    const Values<kCount> in = values[word];
    for (unsigned i = 0; i < kCount; ++i) {
      const float x = to_float(in.at[i]);
      const float size = x < 0 ? -x : x;
      largest = size > largest ? size : largest;
    }
  }
  const float scale = packed_scale(kFormat, largest_of_warp(largest));
  const float inverse = packed_inverse(scale);
  if (lane == 0) plan.scales[row] = scale;
#pragma unroll 4
  for (std::int64_t word = lane; word < numbers / kCount; word += kWarpThreads) {
    const Values<kCount> in = values[word];
    Codes<kCount> out;
    for (unsigned i = 0; i < kCount; ++i) out.at[i] = pack_number(kFormat, in.at[i], inverse);
    codes[word] = out;
  }
}

template <PackedFormat kFormat, unsigned kCount>
__device__ void unpack_row(const PackedPlan& plan, std::int64_t row, unsigned lane) {
  const std::int64_t numbers = plan.shape.row_bytes / 2;
  auto* values = reinterpret_cast<Values<kCount>*>(row_in_cache(plan, row));
  const auto* codes = reinterpret_cast<const Codes<kCount>*>(plan.codes + row * numbers);
  const float scale = plan.scales[row];
#pragma unroll 4
  for (std::int64_t word = lane; word < numbers / kCount; word += kWarpThreads) {
    const Codes<kCount> in = codes[word];
    Values<kCount> out;
    for (unsigned i = 0; i < kCount; ++i) out.at[i] = unpack_number(kFormat, in.at[i], scale);
    values[word] = out;
  }
}

template <PackedFormat kFormat, unsigned kCount, bool kGather>
__global__ void __launch_bounds__(kWarps* kWarpThreads) copy_packed(PackedPlan plan) {
  const std::int64_t row =
      static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarpThreads;
  if (row >= plan.rows) return;
  if constexpr (kGather) {
    pack_row<kFormat, kCount>(plan, row, threadIdx.x % kWarpThreads);
  } else {
    unpack_row<kFormat, kCount>(plan, row, threadIdx.x % kWarpThreads);
  }
}

template <PackedFormat kFormat, bool kGather>
void copy(const KvShape& shape, const KvCache& cache, const KvSpan& span, std::byte* packed,
          cudaStream_t stream) {
  check_packed_copy(shape, cache, span);
  const PackedPlan plan{shape,
                        cache,
                        span,
                        strides_of(shape, cache.layout),
                        reinterpret_cast<std::uint8_t*>(packed),
                        reinterpret_cast<float*>(packed + packed_scales_offset(shape, span)),
                        shape.planes() * span.tokens,
                        Divider(static_cast<std::uint32_t>(shape.block_tokens))};
  const std::int64_t blocks = (plan.rows + kWarps - 1) / kWarps;
  if (blocks >= std::int64_t{1} << 31) throw std::invalid_argument("too many rows for one launch");
  const Launch how{dim3(static_cast<unsigned>(blocks)), dim3(kWarps * kWarpThreads), stream};
  if (shape.row_bytes % 16 == 0) {
    launch(how, &copy_packed<kFormat, 8, kGather>, plan);
  } else {
    launch(how, &copy_packed<kFormat, 1, kGather>, plan);
  }
}

}  // namespace

void gather_packed_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                          PackedFormat format, std::byte* packed, cudaStream_t stream) {
  if (format == PackedFormat::kE4m3) {
    copy<PackedFormat::kE4m3, true>(shape, cache, span, packed, stream);
  } else {
    copy<PackedFormat::kInt8, true>(shape, cache, span, packed, stream);
  }
}

// The const_cast only lets both directions share one kernel; the source is never written.
void scatter_packed_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                           PackedFormat format, const std::byte* packed, cudaStream_t stream) {
  auto* source = const_cast<std::byte*>(packed);
  if (format == PackedFormat::kE4m3) {
    copy<PackedFormat::kE4m3, false>(shape, cache, span, source, stream);
  } else {
    copy<PackedFormat::kInt8, false>(shape, cache, span, source, stream);
  }
}

}  // namespace kvsim::kernels
