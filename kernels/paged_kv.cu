#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/paged_kv_device.hpp"

namespace kvsim::kernels {
namespace {

constexpr std::int64_t kWordBytes = sizeof(uint4);
constexpr std::int64_t kThreadsMax = 128;  // a row of 8 KV heads x 128 x bf16 is 128 words

// One thread block copies one row: x = token of the span, y = layer, z = part. Threads stride over
// the row's words, so neighbouring threads touch neighbouring memory on both sides.
template <KvLayout kLayout, bool kGather>
__global__ void copy_rows(KvShape shape, KvSpan span, std::byte* cache, std::byte* chunk) {
  const std::int64_t token = blockIdx.x;
  const std::int64_t layer = blockIdx.y;
  const std::int64_t part = blockIdx.z;
  const std::int64_t position = span.first_token + token;
  const std::int64_t block = span.block_table[position / shape.block_tokens];
  const std::int64_t slot = position % shape.block_tokens;
  auto* in_cache =
      reinterpret_cast<uint4*>(cache + cache_offset(shape, kLayout, part, layer, block, slot));
  auto* in_chunk = reinterpret_cast<uint4*>(chunk + chunk_offset(shape, span, part, layer, token));
  for (std::int64_t word = threadIdx.x; word < shape.row_bytes / kWordBytes; word += blockDim.x) {
    if constexpr (kGather) {
      in_chunk[word] = in_cache[word];
    } else {
      in_cache[word] = in_chunk[word];
    }
  }
}

template <bool kGather>
void launch(const KvShape& shape, KvLayout layout, const KvSpan& span, std::byte* cache,
            std::byte* chunk, cudaStream_t stream) {
  check_copy(shape, span);
  const dim3 grid(static_cast<unsigned>(span.tokens), static_cast<unsigned>(shape.layers), 2);
  const auto threads = static_cast<unsigned>(std::min(shape.row_bytes / kWordBytes, kThreadsMax));
  if (layout == KvLayout::kLayerFirst) {
    copy_rows<KvLayout::kLayerFirst, kGather>
        <<<grid, threads, 0, stream>>>(shape, span, cache, chunk);
  } else {
    copy_rows<KvLayout::kBlockFirst, kGather>
        <<<grid, threads, 0, stream>>>(shape, span, cache, chunk);
  }
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string("paged KV copy: ") + cudaGetErrorString(status));
  }
}

}  // namespace

// The const_casts only let both directions share one kernel; the source is never written.
void gather_device(const KvShape& shape, KvLayout layout, const KvSpan& span,
                   const std::byte* cache, std::byte* chunk, cudaStream_t stream) {
  launch<true>(shape, layout, span, const_cast<std::byte*>(cache), chunk, stream);
}

void scatter_device(const KvShape& shape, KvLayout layout, const KvSpan& span,
                    const std::byte* chunk, std::byte* cache, cudaStream_t stream) {
  launch<false>(shape, layout, span, cache, const_cast<std::byte*>(chunk), stream);
}

}  // namespace kvsim::kernels
