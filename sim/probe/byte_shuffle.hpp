// Groups the bytes of equal weight of wider values: all lowest bytes, then all next ones, ... A
// compressor finds more in exponents that lie beside each other. Rest bytes stay at the end.
#pragma once

#include <cstddef>
#include <span>

namespace kvsim {

// `out` is as long as `in`; they do not overlap. width: bytes of a value, 1 = a plain copy.
void shuffle_bytes(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width);
void unshuffle_bytes(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width);

}  // namespace kvsim
