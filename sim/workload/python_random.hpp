// The numbers that Python's random.Random draws: load generators written in Python draw from it
// with a seed that they publish, so what they sent can be sent again.
//
// Mersenne Twister MT19937 (Matsumoto, Nishimura 1998), seeded by an array as CPython's random_seed
// does for an integer; below() is random.Random.choice's _randbelow.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kvsim {

class PythonRandom {
 public:
  explicit PythonRandom(std::uint32_t seed) {
    state_[0] = 19650218;
    for (std::uint32_t i = 1; i < kSize; ++i) state_[i] = 1812433253U * folded(i - 1) + i;
    std::uint32_t at = 1;
    for (std::uint32_t k = 0; k < kSize; ++k) {
      state_[at] = (state_[at] ^ (folded(at - 1) * 1664525U)) + seed;
      step(at);
    }
    for (std::uint32_t k = 1; k < kSize; ++k) {
      state_[at] = (state_[at] ^ (folded(at - 1) * 1566083941U)) - at;
      step(at);
    }
    state_[0] = 0x80000000U;
  }

  // One of 0 ... count - 1; 0 < count < 2^32.
  std::size_t below(std::size_t count) {
    const int shift = 32 - static_cast<int>(std::bit_width(count));
    std::size_t drawn = next() >> shift;
    while (drawn >= count) drawn = next() >> shift;
    return drawn;
  }

 private:
  static constexpr std::uint32_t kSize = 624;
  static constexpr std::uint32_t kMiddle = 397;

  [[nodiscard]] std::uint32_t folded(std::uint32_t at) const {
    return state_[at] ^ (state_[at] >> 30);
  }
  void step(std::uint32_t& at) {
    if (++at < kSize) return;
    state_[0] = state_[kSize - 1];
    at = 1;
  }
  void twist() {
    for (std::uint32_t i = 0; i < kSize; ++i) {
      const std::uint32_t joined =
          (state_[i] & 0x80000000U) | (state_[(i + 1) % kSize] & 0x7FFFFFFFU);
      state_[i] = state_[(i + kMiddle) % kSize] ^ (joined >> 1) ^ (joined & 1 ? 0x9908B0DFU : 0);
    }
    used_ = 0;
  }
  std::uint32_t next() {
    if (used_ == kSize) twist();
    std::uint32_t y = state_[used_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680U;
    y ^= (y << 15) & 0xEFC60000U;
    return y ^ (y >> 18);
  }

  std::array<std::uint32_t, kSize> state_{};
  std::uint32_t used_ = kSize;
};

}  // namespace kvsim
