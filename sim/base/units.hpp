// Physical quantities as types, with only the operators that mean something.
//
// Bytes, Tokens and Blocks count whole things; Seconds, Bandwidth and Flops are real numbers in SI.
// A transfer time can only be had as Bytes / Bandwidth. A naked number in C++ is a count.
#pragma once

#include <compare>
#include <cstdint>

namespace kvsim {

template <class Tag, class Representation>
class Quantity {
 public:
  using Rep = Representation;
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep count() const { return value_; }
  [[nodiscard]] constexpr double real() const { return static_cast<double>(value_); }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) { return value_ += other.value_, *this; }
  constexpr Quantity& operator-=(Quantity other) { return value_ -= other.value_, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return a += b; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return a -= b; }
  friend constexpr Quantity operator-(Quantity a) { return Quantity(-a.value_); }
  friend constexpr Quantity operator*(Quantity a, Rep factor) {
    return Quantity(a.value_ * factor);
  }
  friend constexpr Quantity operator*(Rep factor, Quantity a) {
    return Quantity(a.value_ * factor);
  }
  friend constexpr Quantity operator/(Quantity a, Rep divisor) {
    return Quantity(a.value_ / divisor);
  }
  // How often b fits into a: whole for counts, a ratio for reals.
  friend constexpr Rep operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }

 private:
  Rep value_{};
};

using Bytes = Quantity<struct BytesTag, std::int64_t>;
using Tokens = Quantity<struct TokensTag, std::int64_t>;
using Blocks = Quantity<struct BlocksTag, std::int64_t>;
using Seconds = Quantity<struct SecondsTag, double>;
using Bandwidth = Quantity<struct BandwidthTag, double>;  // bytes per second, payload, one way
using Flops = Quantity<struct FlopsTag, double>;          // operations, not a rate

// The only way to get a transfer time.
constexpr Seconds operator/(Bytes bytes, Bandwidth width) {
  return Seconds(bytes.real() / width.count());
}

// How many groups of `size` cover n: rounds up. Both non-negative, size > 0.
constexpr std::int64_t groups_of(std::int64_t n, std::int64_t size) {
  return (n + size - 1) / size;
}

}  // namespace kvsim
