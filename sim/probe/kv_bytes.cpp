#include "sim/probe/kv_bytes.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kPattern = std::size_t{8} << 20;
constexpr std::size_t kChannels = 1024;  // kv_heads * head_dim

std::uint16_t bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Values here are far from fp16's limits: no subnormals, no infinities.
std::uint16_t fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const int exponent = static_cast<int>((bits >> 23) & 0xffU) - 127 + 15;
  if (exponent <= 0) return static_cast<std::uint16_t>(sign);
  return static_cast<std::uint16_t>(
      sign | static_cast<std::uint32_t>(std::min(exponent, 30)) << 10 | ((bits >> 13) & 0x3ffU));
}

std::uint8_t e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 24) & 0x80U;
  const int exponent = static_cast<int>((bits >> 23) & 0xffU) - 127 + 7;
  if (exponent <= 0) return static_cast<std::uint8_t>(sign);
  return static_cast<std::uint8_t>(sign | static_cast<std::uint32_t>(std::min(exponent, 14)) << 3 |
                                   ((bits >> 20) & 7U));
}

struct Channel {
  float offset;
  float scale;
};

class Normal {
 public:
  explicit Normal(std::uint64_t seed) : rng_(stream(seed, "probe/kv")) {}
  float draw() {
    // Box and Muller, one of the two.
    const double radius = std::sqrt(-2 * std::log(1 - rng_.uniform()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * rng_.uniform()));
  }

 private:
  Rng rng_;
};

std::vector<std::byte> pattern(const std::string& kv_dtype, std::uint64_t seed) {
  Normal normal(seed);
  std::vector<Channel> channels(kChannels);
  for (Channel& channel : channels) channel = {normal.draw(), std::exp(normal.draw() * 0.5F)};
  std::vector<std::byte> out(kPattern);
  const std::size_t width = kv_dtype == "fp8" ? 1 : 2;
  for (std::size_t i = 0; i < kPattern / width; ++i) {
    const Channel& channel = channels[i % kChannels];
    const float value = channel.offset + channel.scale * normal.draw();
    if (width == 1) {
      out[i] = static_cast<std::byte>(e4m3(value));
      continue;
    }
    const std::uint16_t bits = kv_dtype == "bf16" ? bf16(value) : fp16(value);
    std::memcpy(out.data() + i * width, &bits, width);
  }
  return out;
}

// Made once a process, when first asked for.
const std::vector<std::byte>& pattern_of(const std::string& kv_dtype) {
  constexpr std::uint64_t kSeed = 1;
  if (kv_dtype == "bf16") {
    static const std::vector<std::byte> kBf16 = pattern("bf16", kSeed);
    return kBf16;
  }
  if (kv_dtype == "fp16") {
    static const std::vector<std::byte> kFp16 = pattern("fp16", kSeed);
    return kFp16;
  }
  KV_CHECK(kv_dtype == "fp8", "{}", kv_dtype);
  static const std::vector<std::byte> kFp8 = pattern("fp8", kSeed);
  return kFp8;
}

}  // namespace

void fill_kv_bytes(std::span<std::byte> out, const std::string& kv_dtype, std::uint64_t seed) {
  const std::vector<std::byte>& source = pattern_of(kv_dtype);
  // The seed says where in it to begin, at a whole token.
  constexpr std::size_t kToken = kChannels * 2;
  std::size_t from = mix64(seed) % (kPattern / kToken) * kToken;
  for (std::size_t done = 0; done < out.size(); from = 0) {
    const std::size_t piece = std::min(out.size() - done, kPattern - from);
    std::memcpy(out.data() + done, source.data() + from, piece);
    done += piece;
  }
}

}  // namespace kvsim
