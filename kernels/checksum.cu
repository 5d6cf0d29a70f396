#include <algorithm>

#include "kernels/checksum.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kBlocksMax = 4096;  // enough to fill any GPU; each then strides
constexpr std::int64_t kUnroll = 4;

__device__ std::uint64_t both_terms(uint4 words, std::uint64_t pair) {
  const std::uint64_t low = words.x | static_cast<std::uint64_t>(words.y) << 32;
  const std::uint64_t high = words.z | static_cast<std::uint64_t>(words.w) << 32;
  return checksum_term(low, 2 * pair) + checksum_term(high, 2 * pair + 1);
}

// The up to 15 bytes after the last pair of words.
__device__ std::uint64_t tail_terms(const std::byte* data, std::int64_t bytes) {
  std::uint64_t sum = 0;
  for (std::int64_t at = bytes / 16 * 16; at < bytes; at += 8) {
    std::uint64_t word = 0;
    for (std::int64_t i = at; i < bytes && i < at + 8; ++i) {
      word |= static_cast<std::uint64_t>(data[i]) << (8 * (i - at));
    }
    sum += checksum_term(word, static_cast<std::uint64_t>(at / 8));
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    add_terms(const std::byte* data, std::int64_t bytes, unsigned long long* sum) {
  const auto* words = reinterpret_cast<const uint4*>(data);
  const std::int64_t pairs = bytes / 16;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  std::uint64_t mine = first == 0 ? tail_terms(data, bytes) : 0;
  std::int64_t pair = first;
  for (; pair + (kUnroll - 1) * stride < pairs; pair += kUnroll * stride) {
    uint4 loaded[kUnroll];
#pragma unroll
    for (std::int64_t i = 0; i < kUnroll; ++i) loaded[i] = words[pair + i * stride];
#pragma unroll
    for (std::int64_t i = 0; i < kUnroll; ++i) {
      mine += both_terms(loaded[i], static_cast<std::uint64_t>(pair + i * stride));
    }
  }
  for (; pair < pairs; pair += stride) {
    mine += both_terms(words[pair], static_cast<std::uint64_t>(pair));
  }
  for (int mask = 16; mask > 0; mask /= 2) mine += __shfl_xor_sync(0xffffffffU, mine, mask);
  if (threadIdx.x % 32 == 0) atomicAdd(sum, static_cast<unsigned long long>(mine));
}

}  // namespace

void checksum_device(const std::byte* data, std::int64_t bytes, unsigned long long* sum,
                     cudaStream_t stream) {
  const std::int64_t threads = std::max<std::int64_t>(1, bytes / 16 / kUnroll);
  const std::int64_t blocks = std::min(kBlocksMax, (threads + kThreads - 1) / kThreads);
  launch(Launch{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), stream}, &add_terms, data,
         bytes, sum);
}

}  // namespace kvsim::kernels
