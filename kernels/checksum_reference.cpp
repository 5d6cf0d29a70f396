#include <algorithm>
#include <cstring>

#include "kernels/checksum.hpp"

namespace kvsim::kernels {

std::uint64_t checksum_reference(const std::byte* data, std::int64_t bytes) {
  std::uint64_t sum = 0;
  for (std::int64_t at = 0; at < bytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + at, static_cast<std::size_t>(std::min<std::int64_t>(8, bytes - at)));
    sum += checksum_term(word, static_cast<std::uint64_t>(at / 8));
  }
  return checksum_of_sum(sum, bytes);
}

}  // namespace kvsim::kernels
