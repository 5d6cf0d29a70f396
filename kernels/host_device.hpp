// Small things that run on host and device alike: bfloat16, FP8 E4M3, division by a fixed number.
// On the device the hardware's conversions are used where they exist; they give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#define KVSIM_HOST_DEVICE __host__ __device__
#else
#define KVSIM_HOST_DEVICE
#endif

namespace kvsim::kernels {

struct Bf16 {
  std::uint16_t bits;
};

KVSIM_HOST_DEVICE inline std::uint32_t bits_of(float x) {
  std::uint32_t bits = 0;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

KVSIM_HOST_DEVICE inline float float_of(std::uint32_t bits) {
  float x = 0;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

KVSIM_HOST_DEVICE inline float to_float(Bf16 x) {
  return float_of(static_cast<std::uint32_t>(x.bits) << 16);
}

// Round to nearest, ties to even. NaN stays NaN.
KVSIM_HOST_DEVICE inline Bf16 to_bf16(float x) {
#ifdef __CUDA_ARCH__
  return Bf16{__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  const std::uint32_t bits = bits_of(x);
  if (x != x) return Bf16{0x7fff};
  return Bf16{static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
#endif
}

constexpr float kE4m3Max = 448.0F;
constexpr float kInt8Max = 127.0F;

// FP8 E4M3 (OCP, "fn": no infinities): 4 exponent bits of bias 7, 3 of mantissa. Round to nearest
// even; what is larger than 448 becomes 448. x must not be NaN.
KVSIM_HOST_DEVICE inline std::uint8_t to_e4m3(float x) {
#if defined(__CUDA_ARCH__)
  return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
#else
  const std::uint32_t sign = bits_of(x) >> 31 << 7;
  float size = float_of(bits_of(x) & 0x7fffffffU);
  if (size > kE4m3Max) size = kE4m3Max;
  // Below 2^-6 the steps are 2^-9. Adding 2^14 leaves a float no finer step than 2^-9, so the
  // addition itself rounds to nearest even.
  if (size < 0.015625F) {
    return static_cast<std::uint8_t>(sign | (bits_of(size + 16384.0F) - bits_of(16384.0F)));
  }
  const std::uint32_t bits = bits_of(size);
  const std::uint32_t rounded = (bits + 0x7ffffU + ((bits >> 20) & 1U)) >> 20;
  return static_cast<std::uint8_t>(sign | (rounded - ((127U - 7U) << 3)));
#endif
}

KVSIM_HOST_DEVICE inline float e4m3_to_float(std::uint8_t x) {
  const std::uint32_t exponent = (x >> 3) & 15U;
  const std::uint32_t mantissa = x & 7U;
  const float size = exponent == 0 ? static_cast<float>(mantissa) * 0.001953125F
                                   : float_of((exponent + 120U) << 23 | mantissa << 20);
  return (x & 0x80U) != 0 ? -size : size;
}

// Exact n / d for n < 2^31 and 1 <= d < 2^31 by one multiplication (Granlund and Montgomery 1994):
// integer division in a loop would cost more than the copy around it.
struct Divider {
  std::uint32_t divisor = 1;
  std::uint32_t multiplier = 0;
  std::uint32_t shift = 0;

  Divider() = default;
  explicit Divider(std::uint32_t d) : divisor(d) {
    if (d == 1) return;
    std::uint32_t log = 0;
    while ((std::uint64_t{1} << log) < d) ++log;
    const std::uint64_t power = std::uint64_t{1} << (31 + log);
    multiplier = static_cast<std::uint32_t>((power + d - 1) / d);
    shift = log - 1;
  }

  [[nodiscard]] KVSIM_HOST_DEVICE std::uint32_t quotient(std::uint32_t n) const {
    if (divisor == 1) return n;
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(n) * multiplier) >> 32) >> shift;
  }
  [[nodiscard]] KVSIM_HOST_DEVICE std::uint32_t remainder(std::uint32_t n) const {
    return n - quotient(n) * divisor;
  }
};

}  // namespace kvsim::kernels
