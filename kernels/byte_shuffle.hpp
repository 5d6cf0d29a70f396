// Bytes of equal weight side by side, as compressors like them: of `count` elements of `width`
// bytes, out[b * count + i] = in[i * width + b]. (Blosc's "shuffle" filter.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda.hpp"

namespace kvsim::kernels {

// Host versions: the definition, for any width >= 1.
void shuffle_reference(const std::byte* in, std::int64_t count, int width, std::byte* out);
void unshuffle_reference(const std::byte* in, std::int64_t count, int width, std::byte* out);

// Device versions for widths 1, 2, 4 and 8; in and out must not overlap and be aligned to 16 bytes.
// Fast where count is a multiple of 16. Throws std::invalid_argument for other widths and
// count <= 0, DeviceError when the launch fails.
void shuffle_device(const std::byte* in, std::int64_t count, int width, std::byte* out,
                    cudaStream_t stream);
void unshuffle_device(const std::byte* in, std::int64_t count, int width, std::byte* out,
                      cudaStream_t stream);

}  // namespace kvsim::kernels
