#include "kernels/byte_shuffle.hpp"

namespace kvsim::kernels {

void shuffle_reference(const std::byte* in, std::int64_t count, int width, std::byte* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (int b = 0; b < width; ++b) out[b * count + i] = in[i * width + b];
  }
}

void unshuffle_reference(const std::byte* in, std::int64_t count, int width, std::byte* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (int b = 0; b < width; ++b) out[i * width + b] = in[b * count + i];
  }
}

}  // namespace kvsim::kernels
