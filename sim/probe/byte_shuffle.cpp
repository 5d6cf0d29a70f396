#include "sim/probe/byte_shuffle.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// With the width known, the compiler makes vector code of it.
template <std::size_t kWidth>
void split(const std::byte* __restrict in, std::byte* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t weight = 0; weight < kWidth; ++weight)
      out[weight * count + i] = in[i * kWidth + weight];
}

template <std::size_t kWidth>
void join(const std::byte* __restrict in, std::byte* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t weight = 0; weight < kWidth; ++weight)
      out[i * kWidth + weight] = in[weight * count + i];
}

std::size_t values_in(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width) {
  KV_CHECK(in.size() == out.size() && (width == 1 || width == 2 || width == 4), "{} and {}, {}",
           in.size(), out.size(), width);
  const std::size_t count = in.size() / width;
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(count * width), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(count * width));
  return count;
}

}  // namespace

void shuffle_bytes(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width) {
  const std::size_t count = values_in(in, out, width);
  if (width == 1) split<1>(in.data(), out.data(), count);
  if (width == 2) split<2>(in.data(), out.data(), count);
  if (width == 4) split<4>(in.data(), out.data(), count);
}

void unshuffle_bytes(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width) {
  const std::size_t count = values_in(in, out, width);
  if (width == 1) join<1>(in.data(), out.data(), count);
  if (width == 2) join<2>(in.data(), out.data(), count);
  if (width == 4) join<4>(in.data(), out.data(), count);
}

}  // namespace kvsim
