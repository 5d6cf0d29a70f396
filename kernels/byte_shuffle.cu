#include <stdexcept>

#include "kernels/byte_shuffle.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kGroup = 16;  // elements per thread: a 16-byte word in each plane

struct alignas(16) Bytes16 {
  std::uint8_t at[16];
};

// Byte b of element i of a group that is stored element by element.
template <int kWidth>
__device__ std::uint8_t& element_byte(Bytes16* elements, int i, int b) {
  return elements[(i * kWidth + b) / 16].at[(i * kWidth + b) % 16];
}

// All indices are constants once unrolled, so the bytes stay in registers.
template <int kWidth, bool kShuffle>
__global__ void __launch_bounds__(kThreads)
    shuffle_groups(const std::byte* in, std::byte* out, std::int64_t groups) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group >= groups) return;
  Bytes16 elements[kWidth];
  Bytes16 planes[kWidth];
#pragma unroll
  for (int b = 0; b < kWidth; ++b) {
    const auto* source = reinterpret_cast<const Bytes16*>(in);
    if constexpr (kShuffle) {
      elements[b] = source[group * kWidth + b];
    } else {
      planes[b] = source[b * groups + group];
    }
  }
#pragma unroll
  for (int b = 0; b < kWidth; ++b) {
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      if constexpr (kShuffle) {
        planes[b].at[i] = element_byte<kWidth>(elements, i, b);
      } else {
        element_byte<kWidth>(elements, i, b) = planes[b].at[i];
      }
    }
  }
#pragma unroll
  for (int b = 0; b < kWidth; ++b) {
    auto* target = reinterpret_cast<Bytes16*>(out);
    if constexpr (kShuffle) {
      target[b * groups + group] = planes[b];
    } else {
      target[group * kWidth + b] = elements[b];
    }
  }
}

// Any count: planes then start at any byte.
template <bool kShuffle>
__global__ void __launch_bounds__(kThreads)
    shuffle_bytes(const std::byte* in, std::byte* out, std::int64_t count, int width) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  for (int b = 0; b < width; ++b) {
    if constexpr (kShuffle) {
      out[b * count + i] = in[i * width + b];
    } else {
      out[i * width + b] = in[b * count + i];
    }
  }
}

dim3 blocks_for(std::int64_t threads) {
  return dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads));
}

template <bool kShuffle>
void run(const std::byte* in, std::int64_t count, int width, std::byte* out, cudaStream_t stream) {
  if (width != 1 && width != 2 && width != 4 && width != 8) {
    throw std::invalid_argument("width must be 1, 2, 4 or 8");
  }
  if (count <= 0) throw std::invalid_argument("count must be positive");
  const std::int64_t groups = count / kGroup;
  if (count % kGroup != 0) {
    launch(Launch{blocks_for(count), dim3(kThreads), stream}, &shuffle_bytes<kShuffle>, in, out,
           count, width);
    return;
  }
  const Launch how{blocks_for(groups), dim3(kThreads), stream};
  if (width == 1) launch(how, &shuffle_groups<1, kShuffle>, in, out, groups);
  if (width == 2) launch(how, &shuffle_groups<2, kShuffle>, in, out, groups);
  if (width == 4) launch(how, &shuffle_groups<4, kShuffle>, in, out, groups);
  if (width == 8) launch(how, &shuffle_groups<8, kShuffle>, in, out, groups);
}

}  // namespace

void shuffle_device(const std::byte* in, std::int64_t count, int width, std::byte* out,
                    cudaStream_t stream) {
  run<true>(in, count, width, out, stream);
}

void unshuffle_device(const std::byte* in, std::int64_t count, int width, std::byte* out,
                      cudaStream_t stream) {
  run<false>(in, count, width, out, stream);
}

}  // namespace kvsim::kernels
