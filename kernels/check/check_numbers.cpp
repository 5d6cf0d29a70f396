#include <cmath>
#include <limits>

#include "kernels/check/check.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels {
namespace {

void check_bf16(Report& report) {
  bool back = true;
  bool nearest = true;
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits) {
    const Bf16 x{static_cast<std::uint16_t>(bits)};
    back &= to_bf16(to_float(x)).bits == bits;
    // Halfway to the next: to the even one.
    const float halfway = float_of((bits << 16) + 0x8000);
    nearest &= to_bf16(halfway).bits == bits + (bits & 1);
    nearest &= to_bf16(float_of((bits << 16) + 0x8001)).bits == bits + 1;
    nearest &= to_bf16(float_of((bits << 16) + 0x7fff)).bits == bits;
  }
  report.expect(back, "bf16 numbers stay as they are");
  report.expect(nearest, "rounding to bf16 is to nearest even");
  const float nan = to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()));
  report.expect(std::isnan(nan), "NaN stays NaN");
}

void check_e4m3(Report& report) {
  bool back = true;
  bool nearest = true;
  for (int code = 0; code < 0x7e; ++code) {
    const float here = e4m3_to_float(static_cast<std::uint8_t>(code));
    const float next = e4m3_to_float(static_cast<std::uint8_t>(code + 1));
    back &= to_e4m3(here) == code && to_e4m3(-here) == (code | 0x80);
    const float halfway = (here + next) / 2;
    nearest &= to_e4m3(halfway) == code + (code & 1);
    nearest &= to_e4m3(std::nextafter(halfway, 1e9F)) == code + 1;
    nearest &= to_e4m3(std::nextafter(halfway, 0.0F)) == code;
  }
  report.expect(back, "e4m3 numbers stay as they are");
  report.expect(nearest, "rounding to e4m3 is to nearest even");
  report.expect(e4m3_to_float(0x7e) == kE4m3Max, "the largest e4m3 number is 448");
  report.expect(e4m3_to_float(0x01) == std::ldexp(1.0F, -9), "the smallest is 2^-9");
  report.expect(to_e4m3(1e30F) == 0x7e, "what is too large becomes the largest");
}

void check_divider(Report& report) {
  bool exact = true;
  const std::uint32_t last = 0x7fffffff;
  for (const std::uint32_t d : {1U, 2U, 3U, 5U, 7U, 16U, 48U, 127U, 128U, 641U, 65535U, 65536U,
                                1000003U, 0x40000000U, 0x40000001U, 0x7fffffffU}) {
    const Divider divider(d);
    const auto check = [&](std::uint32_t n) {
      exact &= divider.quotient(n) == n / d && divider.remainder(n) == n % d;
    };
    for (std::uint32_t k = 0; k < 3000; ++k) {
      check(k);
      check(last - k);
      const std::uint32_t multiple = (last / 3000 * k) / d * d;
      check(multiple);
      if (multiple > 0) check(multiple - 1);
    }
  }
  report.expect(exact, "division by multiplication is exact");
}

}  // namespace

void check_numbers(Report& report) {
  check_bf16(report);
  check_e4m3(report);
  check_divider(report);
}

}  // namespace kvsim::kernels
