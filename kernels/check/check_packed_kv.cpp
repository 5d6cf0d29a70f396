#include <cmath>
#include <cstring>

#include "kernels/check/cases.hpp"
#include "kernels/packed_kv_device.hpp"

namespace kvsim::kernels {
namespace {

// A cache of bf16 numbers of all sizes, some rows of zeros.
Memory content_of(const KvCase& c, unsigned salt) {
  std::vector<Bf16> values = numbers(c.shape.cache_bytes() / 2, salt);
  const auto row = static_cast<std::size_t>(c.shape.row_bytes / 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool small = i % 5 == 3;
    const float size =
        i / row % 7 == 2 ? 0.0F : std::ldexp(1.0F, static_cast<int>(i / row % 60) - 30);
    values[i] = to_bf16(to_float(values[i]) * size * (small ? 1e-3F : 1.0F));
  }
  Memory out(static_cast<std::size_t>(c.shape.cache_bytes()));
  std::memcpy(out.data(), values.data(), values.size() * 2);
  return out;
}

std::vector<Bf16> values_of(const Memory& chunk) {
  std::vector<Bf16> out(chunk.size() / 2);
  std::memcpy(out.data(), chunk.data(), chunk.size());
  return out;
}

// The bound that packed_kv.hpp states, against the numbers as they were.
bool within_bound(const KvCase& c, PackedFormat format, const std::vector<Bf16>& before,
                  const std::vector<Bf16>& after) {
  const auto row = static_cast<std::size_t>(c.shape.row_bytes / 2);
  for (std::size_t first = 0; first < before.size(); first += row) {
    float largest = 0;
    for (std::size_t i = first; i < first + row; ++i) {
      largest = std::max(largest, std::abs(to_float(before[i])));
    }
    const float scale = packed_scale(format, largest);
    for (std::size_t i = first; i < first + row; ++i) {
      const float size = std::abs(to_float(before[i]));
      const float coarse =
          format == PackedFormat::kInt8 ? scale / 2 : std::max(size / 16, scale / 1024);
      const float error = std::abs(to_float(after[i]) - to_float(before[i]));
      if (!(error <= coarse + size / 256)) return false;
    }
  }
  return true;
}

void check_case(Report& report, const KvCase& c, PackedFormat format) {
  const std::string name =
      (format == PackedFormat::kE4m3 ? "packed e4m3: " : "packed int8: ") + describe(c);
  const auto table = block_table(c.shape.blocks);
  const DeviceBuffer<std::int32_t> device_table(table);
  const KvSpan span{table.data(), c.first_token, c.tokens};
  const KvSpan device_span{device_table.data(), c.first_token, c.tokens};
  const Memory content = content_of(c, 5);
  const HostCache cache(c, content);
  Memory packed(static_cast<std::size_t>(packed_bytes(c.shape, span)));
  gather_packed_reference(c.shape, cache.view(), span, format, packed.data());

  Memory chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape)));
  gather_reference(c.shape, cache.view(), span, chunk.data());
  const HostCache target(c, content_of(c, 6));
  scatter_packed_reference(c.shape, target.view(), span, format, packed.data());
  Memory back(chunk.size());
  gather_reference(c.shape, target.view(), span, back.data());
  report.expect(within_bound(c, format, values_of(chunk), values_of(back)), "error bound, " + name);

  const DeviceCache device_cache(c, content);
  const DeviceBuffer<std::byte> device_packed(Memory(packed.size()));
  gather_packed_device(c.shape, device_cache.view(), device_span, format, device_packed.data(),
                       nullptr);
  report.expect(device_packed.fetch() == packed, "device gather, " + name);
  const DeviceCache device_target(c, content_of(c, 6));
  scatter_packed_device(c.shape, device_target.view(), device_span, format, device_packed.data(),
                        nullptr);
  report.expect(device_target.content() == target.content(), "device scatter, " + name);
}

}  // namespace

void check_packed_kv(Report& report, bool large) {
  for (const KvCase& c : kv_cases({64, 34}, large)) {
    check_case(report, c, PackedFormat::kE4m3);
    check_case(report, c, PackedFormat::kInt8);
  }
  const std::int32_t table[] = {0};
  std::byte byte{};
  report.expect_refused(
      [&] {
        check_packed_copy({1, 1, 1, 33, 2}, {KvLayout::kLayerFirst, &byte, nullptr}, {table, 0, 1});
      },
      "packing half a number");
}

}  // namespace kvsim::kernels
