// Random numbers by named stream: a new random component disturbs no other, and the same seed
// gives the same draws with every standard library, because the conversions are our own.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvsim {

// A 64-bit finaliser (splitmix64's): spreads every input bit over the output. Also the mixing step
// of content hashes.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// xoshiro256++ (Blackman and Vigna, 2019). Not for cryptography.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  std::uint64_t bits();
  // In [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // In [0, n), n > 0; the bias is below n / 2^64.
  std::uint64_t below(std::uint64_t n);
  double exponential(double mean);
  double normal(double mean, double deviation);
  // Lognormal by the mean and deviation of the logarithm.
  double lognormal(double log_mean, double log_deviation);
  // Gamma by shape k > 0 and scale (Marsaglia and Tsang, 2000).
  double gamma(double shape, double scale);

 private:
  std::array<std::uint64_t, 4> state_;
};

// The stream called `name` of this seed: independent of every other name.
Rng stream(std::uint64_t seed, std::string_view name);

// FNV-1a then mix64: stable over builds; for names and ids, not for block chains.
std::uint64_t hash_name(std::string_view name);

}  // namespace kvsim
