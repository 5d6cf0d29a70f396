// Gather and scatter on the device, packed ones, byte shuffle and checksum.
#include <algorithm>

#include "kernels/byte_shuffle.hpp"
#include "kernels/checksum.hpp"
#include "kernels/packed_kv_device.hpp"
#include "kernels/paged_kv_device.hpp"
#include "kernels/probe/session.hpp"

namespace kvsim::kernels {
namespace {

constexpr std::int64_t kLayers = 8;
constexpr std::int64_t kBlockTokens = 16;

struct NamedLayout {
  KvLayout layout;
  const char* name;
};
constexpr NamedLayout kLayouts[] = {{KvLayout::kLayerFirst, "layer-first"},
                                    {KvLayout::kBlockFirst, "block-first"},
                                    {KvLayout::kBlockInLayer, "block-in-layer"}};

// A cache twice as large as the chunk, and the chunk in either form.
struct GatherSetting {
  GatherSetting(std::int64_t payload_bytes, std::int64_t block_bytes, KvLayout layout)
      : blocks(std::max<std::int64_t>(1, payload_bytes / (2 * kLayers * block_bytes))),
        shape{kLayers, 2 * blocks, kBlockTokens, block_bytes / kBlockTokens, 2},
        table(scattered_blocks(blocks, 2 * blocks)),
        cache_memory(static_cast<std::size_t>(shape.cache_bytes())),
        span{table.data(), 0, blocks * kBlockTokens},
        chunk(static_cast<std::size_t>(span.chunk_bytes(shape))),
        packed(static_cast<std::size_t>(packed_bytes(shape, span))),
        cache{layout, cache_memory.data(), nullptr} {
    fill_random(cache_memory.data(), cache_memory.size());
    require(cudaMemset(packed.data(), 0, packed.size()), "memset");
    require(cudaDeviceSynchronize(), "memset");
  }

  std::int64_t blocks;
  KvShape shape;
  DeviceBuffer<std::int32_t> table;
  DeviceBuffer<std::byte> cache_memory;
  KvSpan span;
  DeviceBuffer<std::byte> chunk;
  DeviceBuffer<std::byte> packed;
  KvCache cache;
};

void measure_gathers(Session& session, NamedLayout layout, std::int64_t block_bytes) {
  const GatherSetting s(session.scale().payload_bytes, block_bytes, layout.layout);
  const cudaStream_t stream = session.stream().get();
  const PlaneRange all{0, s.shape.planes()};
  const auto bytes = static_cast<double>(s.chunk.size());
  const std::vector<Label> labels = {label("layout", layout.name),
                                     label("block_bytes", static_cast<double>(block_bytes))};
  const auto run = [&](const char* operation, const std::vector<Label>& more, double touched,
                       std::function<void(int)> enqueue) {
    std::vector<Label> with = labels;
    with.insert(with.end(), more.begin(), more.end());
    GpuStopwatch stopwatch(session.stream(), std::move(enqueue));
    session.measure({operation, with, bytes}, stopwatch, {"device-copy", touched});
  };
  run("gather", {}, 2 * bytes,
      [&](int) { gather_device(s.shape, s.cache, s.span, all, s.chunk.data(), stream); });
  run("scatter", {}, 2 * bytes,
      [&](int) { scatter_device(s.shape, s.cache, s.span, all, s.chunk.data(), stream); });
  const double packed_touched = bytes + static_cast<double>(s.packed.size());
  for (const PackedFormat format : {PackedFormat::kE4m3, PackedFormat::kInt8}) {
    const Label name = label("format", format == PackedFormat::kE4m3 ? "e4m3" : "int8");
    run("gather-packed", {name}, packed_touched, [&](int) {
      gather_packed_device(s.shape, s.cache, s.span, format, s.packed.data(), stream);
    });
    run("scatter-packed", {name}, packed_touched, [&](int) {
      scatter_packed_device(s.shape, s.cache, s.span, format, s.packed.data(), stream);
    });
  }
}

void measure_bytes(Session& session) {
  const std::int64_t size = session.scale().payload_bytes / 128 * 128;
  const DeviceBuffer<std::byte> in(static_cast<std::size_t>(size));
  const DeviceBuffer<std::byte> out(static_cast<std::size_t>(size));
  const DeviceBuffer<unsigned long long> sum(std::size_t{1});
  fill_random(in.data(), in.size());
  const cudaStream_t stream = session.stream().get();
  const auto bytes = static_cast<double>(size);
  for (const int width : {2, 4, 8}) {
    const std::vector<Label> labels = {label("element_bytes", width)};
    GpuStopwatch shuffle(session.stream(), [&](int) {
      shuffle_device(in.data(), size / width, width, out.data(), stream);
    });
    session.measure({"byte-shuffle", labels, bytes}, shuffle, {"device-copy", 2 * bytes});
    GpuStopwatch back(session.stream(), [&](int) {
      unshuffle_device(in.data(), size / width, width, out.data(), stream);
    });
    session.measure({"byte-unshuffle", labels, bytes}, back, {"device-copy", 2 * bytes});
  }
  // Only reads, so a copy is no bound for it.
  GpuStopwatch checksum(session.stream(),
                        [&](int) { checksum_device(in.data(), size, sum.data(), stream); });
  session.measure({"checksum", {}, bytes}, checksum);
}

}  // namespace

void add_gathers(std::vector<Step>& steps, const Scale& scale) {
  for (const NamedLayout layout : kLayouts) {
    for (std::int64_t block = 4096; block <= std::int64_t{1} << 20; block *= scale.full ? 4 : 16) {
      if (2 * kLayers * block > scale.payload_bytes) break;
      steps.push_back({std::string("gather ") + layout.name + " " + std::to_string(block),
                       [=](Session& session) { measure_gathers(session, layout, block); }});
    }
  }
  steps.push_back({"byte shuffle and checksum", measure_bytes});
}

}  // namespace kvsim::kernels
