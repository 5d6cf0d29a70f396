#include "kernels/check/cases.hpp"
#include "kernels/paged_kv_device.hpp"

namespace kvsim::kernels {
namespace {

// The definition of gather once more, index by index, with nothing shared with the code under test.
Memory gather_by_bytes(const KvCase& c, const std::vector<std::int32_t>& table,
                       const Memory& cache) {
  Memory chunk;
  const auto [layers, blocks, block_tokens, row, parts] = c.shape;
  for (std::int64_t part = 0; part < parts; ++part) {
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      for (std::int64_t t = c.first_token; t < c.first_token + c.tokens; ++t) {
        const std::int64_t b = table[static_cast<std::size_t>(t / block_tokens)];
        std::int64_t at = layer * blocks * parts + b * parts + part;  // block in layer
        if (c.layout == KvLayout::kLayerFirst) at = b + blocks * (part + parts * layer);
        if (c.layout == KvLayout::kBlockFirst) at = part + parts * (layer + layers * b);
        for (std::int64_t i = 0; i < row; ++i) {
          chunk.push_back(
              cache[static_cast<std::size_t>(i + row * (t % block_tokens + block_tokens * at))]);
        }
      }
    }
  }
  return chunk;
}

void check_reference(Report& report, const KvCase& c) {
  const auto table = block_table(c.shape.blocks);
  const KvSpan span{table.data(), c.first_token, c.tokens};
  const Memory content = pattern(c.shape.cache_bytes(), 1);
  const HostCache cache(c, content);
  Memory chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape)));
  gather_reference(c.shape, cache.view(), span, chunk.data());
  report.expect(chunk == gather_by_bytes(c, table, content), "reference gather: " + describe(c));

  // Into a cache with other content: the span arrives, and nothing else changes.
  const Memory other = pattern(c.shape.cache_bytes(), 99);
  const HostCache target(c, other);
  scatter_reference(c.shape, target.view(), span, chunk.data());
  report.expect(gather_by_bytes(c, table, target.content()) == chunk,
                "reference scatter then gather: " + describe(c));
  const Memory before = gather_by_bytes(c, table, other);
  scatter_reference(c.shape, target.view(), span, before.data());
  report.expect(target.content() == other, "reference scatter stays in the span: " + describe(c));
}

void check_device(Report& report, const KvCase& c) {
  const auto table = block_table(c.shape.blocks);
  const DeviceBuffer<std::int32_t> device_table(table);
  const KvSpan span{table.data(), c.first_token, c.tokens};
  const KvSpan device_span{device_table.data(), c.first_token, c.tokens};
  const Memory content = pattern(c.shape.cache_bytes(), 1);
  const HostCache cache(c, content);
  const DeviceCache device_cache(c, content);
  Memory chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape)));
  gather_reference(c.shape, cache.view(), span, chunk.data());

  const PlaneRange all{0, c.shape.planes()};
  const DeviceBuffer<std::byte> device_chunk(Memory(chunk.size()));
  gather_device(c.shape, device_cache.view(), device_span, all, device_chunk.data(), nullptr);
  report.expect(device_chunk.fetch() == chunk, "device gather: " + describe(c));
  report.expect(device_cache.content() == content, "gather leaves the cache: " + describe(c));

  const Memory other = pattern(c.shape.cache_bytes(), 99);
  const HostCache target(c, other);
  const DeviceCache device_target(c, other);
  scatter_reference(c.shape, target.view(), span, chunk.data());
  // Plane by plane, as several streams share the work.
  for (std::int64_t plane = 0; plane < c.shape.planes(); ++plane) {
    scatter_device(c.shape, device_target.view(), device_span, {plane, 1}, device_chunk.data(),
                   nullptr);
  }
  report.expect(device_target.content() == target.content(), "device scatter: " + describe(c));
}

void check_refusals(Report& report) {
  const std::int32_t table[] = {0, 5};
  std::byte byte{};
  const KvCache cache{KvLayout::kLayerFirst, &byte, nullptr};
  const auto refused = [&](KvShape shape, KvCache where, KvSpan span, const char* what) {
    report.expect_refused([&] { check_copy(shape, where, span); }, what);
  };
  refused({0, 5, 4, 16, 2}, cache, {table, 0, 4}, "no layers");
  refused({1, 5, 4, 16, 3}, cache, {table, 0, 4}, "three parts");
  refused({1, 5, 4, 16, 2}, {KvLayout::kLayerFirst, nullptr, nullptr}, {table, 0, 4}, "no cache");
  refused({1, 5, 4, 16, 2}, cache, {nullptr, 0, 4}, "no block table");
  refused({1, 5, 4, 16, 2}, cache, {table, 0, 0}, "no tokens");
  refused({1, 5, 4, 16, 2}, cache, {table, 0, std::int64_t{1} << 31}, "too many tokens");
  std::byte* const bases[] = {&byte};
  refused({1, 5, 4, 16, 2}, {KvLayout::kBlockFirst, nullptr, bases}, {table, 0, 4},
          "separate layers, block first");
  report.expect_refused(
      [&] {
        std::byte chunk[256];
        Memory big(5 * 4 * 16 * 2);
        gather_reference({1, 5, 4, 16, 2}, {KvLayout::kLayerFirst, big.data(), nullptr},
                         {table, 4, 4}, chunk);
      },
      "a block beyond the cache");
}

}  // namespace

void check_paged_kv(Report& report, bool large) {
  check_refusals(report);
  for (const KvCase& c : kv_cases({64, 40, 36, 34, 33}, large)) {
    check_reference(report, c);
    check_device(report, c);
  }
}

}  // namespace kvsim::kernels
