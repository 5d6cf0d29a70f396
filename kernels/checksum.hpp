// A 64-bit checksum that many threads can compute in any order: the sum over all 8-byte words of
// mix(word + position * odd constant), where mix is the finaliser of SplitMix64 (Steele, Lea and
// Flood 2014), then mixed with the length. mix is a bijection, so a change of any one word changes
// the sum; swapped words do too, as the position goes in. The last word is padded with zeros.
// Against accidents, not against adversaries.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels {

KVSIM_HOST_DEVICE constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// What word number `index` adds to the sum.
KVSIM_HOST_DEVICE constexpr std::uint64_t checksum_term(std::uint64_t word, std::uint64_t index) {
  return mix(word + (index + 1) * 0x9e3779b97f4a7c15ULL);
}

constexpr std::uint64_t checksum_of_sum(std::uint64_t sum, std::int64_t bytes) {
  return mix(sum ^ static_cast<std::uint64_t>(bytes));
}

std::uint64_t checksum_reference(const std::byte* data, std::int64_t bytes);

// Adds the sum of `data` (aligned to 16 bytes) to *sum on the device, which the caller has set to
// zero; then checksum_of_sum() gives the checksum.
void checksum_device(const std::byte* data, std::int64_t bytes, unsigned long long* sum,
                     cudaStream_t stream);

}  // namespace kvsim::kernels
