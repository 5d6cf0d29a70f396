#include <cmath>

#include "kernels/all_reduce.hpp"
#include "kernels/check/check.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/elementwise.hpp"

namespace kvsim::kernels {
namespace {

// Equal but for the last bit of bf16; sums in float may cancel, hence the absolute part.
bool close(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float x = to_float(a[i]);
    const float y = to_float(b[i]);
    if (!(std::abs(x - y) <= std::abs(y) / 64 + 1e-6F)) return false;
  }
  return a.size() == b.size();
}

void check_norm(Report& report, std::int64_t rows, std::int64_t width) {
  const auto x = numbers(rows * width, 1);
  const auto weight = numbers(width, 2);
  std::vector<Bf16> out(x.size());
  run_reference(RmsNorm{x.data(), weight.data(), out.data(), rows, width, 1e-5F});
  const DeviceBuffer<Bf16> device_x(x);
  const DeviceBuffer<Bf16> device_weight(weight);
  const DeviceBuffer<Bf16> device_out(std::vector<Bf16>(x.size()));
  run_device(RmsNorm{device_x.data(), device_weight.data(), device_out.data(), rows, width, 1e-5F},
             nullptr);
  report.expect(close(device_out.fetch(), out), "RMS norm of width " + std::to_string(width));
}

void check_silu(Report& report, std::int64_t rows, std::int64_t width) {
  const auto x = numbers(rows * width * 2, 3);
  std::vector<Bf16> out(x.size() / 2);
  run_reference(SiluMultiply{x.data(), out.data(), rows, width});
  const DeviceBuffer<Bf16> device_x(x);
  const DeviceBuffer<Bf16> device_out(std::vector<Bf16>(out.size()));
  run_device(SiluMultiply{device_x.data(), device_out.data(), rows, width}, nullptr);
  report.expect(close(device_out.fetch(), out), "SiLU of width " + std::to_string(width));
}

void check_rotary(Report& report, std::int64_t heads, std::int64_t head_dim) {
  constexpr std::int64_t kTokens = 5;
  const std::vector<std::int32_t> positions = {0, 7, 3, 3, 9};
  std::vector<float> table(static_cast<std::size_t>(10 * head_dim));
  for (std::int64_t p = 0; p < 10; ++p) {
    for (std::int64_t i = 0; i < head_dim / 2; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(i) / head_dim);
      table[static_cast<std::size_t>(p * head_dim + i)] = static_cast<float>(std::cos(angle));
      table[static_cast<std::size_t>(p * head_dim + head_dim / 2 + i)] =
          static_cast<float>(std::sin(angle));
    }
  }
  const auto x = numbers(kTokens * heads * head_dim, 4);
  auto out = x;
  run_reference(Rotary{out.data(), positions.data(), table.data(), kTokens, heads, head_dim});
  report.expect(same(std::vector<Bf16>(x.begin(), x.begin() + heads * head_dim),
                     std::vector<Bf16>(out.begin(), out.begin() + heads * head_dim)),
                "position 0 is not rotated");
  const DeviceBuffer<Bf16> device_x(x);
  const DeviceBuffer<std::int32_t> device_positions(positions);
  const DeviceBuffer<float> device_table(table);
  run_device(Rotary{device_x.data(), device_positions.data(), device_table.data(), kTokens, heads,
                    head_dim},
             nullptr);
  report.expect(close(device_x.fetch(), out), "rotary of heads of " + std::to_string(head_dim));
}

void check_residual(Report& report, std::int64_t count) {
  const auto x = numbers(count, 5);
  auto residual = numbers(count, 6);
  const DeviceBuffer<Bf16> device_x(x);
  const DeviceBuffer<Bf16> device_residual(residual);
  run_reference(ResidualAdd{x.data(), residual.data(), count});
  run_device(ResidualAdd{device_x.data(), device_residual.data(), count}, nullptr);
  report.expect(same(device_residual.fetch(), residual), "residual of " + std::to_string(count));
}

// On one GPU: its memory stands for that of all.
void check_all_reduce(Report& report, int gpus, std::int64_t count) {
  AllReduce host;
  AllReduce device;
  host.gpus = device.gpus = gpus;
  host.count = device.count = count;
  std::vector<std::vector<Bf16>> in;
  std::vector<std::vector<Bf16>> out;
  std::vector<DeviceBuffer<Bf16>> device_in;
  std::vector<DeviceBuffer<Bf16>> device_out;
  for (int i = 0; i < gpus; ++i) {
    in.push_back(numbers(count, static_cast<unsigned>(10 + i)));
    out.emplace_back(in.back().size());
    device_in.emplace_back(in.back());
    device_out.emplace_back(out.back());
  }
  for (int i = 0; i < gpus; ++i) {
    const auto at = static_cast<std::size_t>(i);
    host.in[i] = in[at].data();
    host.out[i] = out[at].data();
    device.in[i] = device_in[at].data();
    device.out[i] = device_out[at].data();
  }
  all_reduce_reference(host);
  for (int i = 0; i < gpus; ++i) all_reduce_device(device, i, nullptr);
  for (int i = 0; i < gpus; ++i) {
    const auto at = static_cast<std::size_t>(i);
    report.expect(same(device_out[at].fetch(), out[at]),
                  "all-reduce of " + std::to_string(gpus) + ", result " + std::to_string(i));
  }
}

}  // namespace

void check_elementwise(Report& report, bool large) {
  for (const std::int64_t width : {8, 64, 2056}) {
    check_norm(report, 3, width);
    check_silu(report, 3, width);
    check_residual(report, width);
  }
  check_rotary(report, 3, 64);
  check_rotary(report, 2, 128);
  check_all_reduce(report, 2, 8);
  check_all_reduce(report, 3, 4104);
  if (large) {
    check_norm(report, 100, 8192);
    check_silu(report, 100, 28672);
    check_residual(report, 8192 * 100);
    check_all_reduce(report, 8, 1 << 20);
  }
  report.expect_refused(
      [] {
        run_device(ResidualAdd{nullptr, nullptr, 12}, nullptr);
      },
      "a width of 12");
}

}  // namespace kvsim::kernels
