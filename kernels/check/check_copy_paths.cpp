#include <cstring>

#include "kernels/check/cases.hpp"
#include "kernels/copy_paths.hpp"

namespace kvsim::kernels {
namespace {

// A cache on the device and all that a copy of a span of it needs.
struct Setting {
  explicit Setting(const KvCase& c, unsigned salt)
      : table(block_table(c.shape.blocks)),
        device_table(table),
        cache(c, pattern(c.shape.cache_bytes(), salt)),
        span{table.data(), c.first_token, c.tokens},
        chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape))),
        staging(chunk.size()),
        copy{c.shape,      cache.view(),  cache.view_of_host(), span, device_table.data(),
             chunk.data(), staging.data()} {}

  [[nodiscard]] Memory chunk_content() const {
    return Memory(chunk.data(), chunk.data() + chunk.size());
  }

  std::vector<std::int32_t> table;
  DeviceBuffer<std::int32_t> device_table;
  DeviceCache cache;
  KvSpan span;
  PinnedBuffer chunk;
  DeviceBuffer<std::byte> staging;
  KvCopy copy;
};

void check_method(Report& report, const KvCase& c, CopyMethod method, int streams) {
  const std::string name =
      std::string(name_of(method)) + ", " + std::to_string(streams) + " streams: " + describe(c);
  Setting out(c, 1);    // cache to host
  Setting back(c, 99);  // host to cache, at the same time
  const HostCache expected_out(c, pattern(c.shape.cache_bytes(), 1));
  Memory chunk(out.chunk.size());
  gather_reference(c.shape, expected_out.view(), out.span, chunk.data());
  const Memory arriving = pattern(static_cast<std::int64_t>(chunk.size()), 55);
  std::memcpy(back.chunk.data(), arriving.data(), arriving.size());
  const HostCache expected_back(c, pattern(c.shape.cache_bytes(), 99));
  scatter_reference(c.shape, expected_back.view(), back.span, arriving.data());

  std::memset(out.chunk.data(), 0, out.chunk.size());
  const Stream to_host;
  const Stream to_gpu;
  CopyPath path_out(method, streams);
  CopyPath path_back(method, streams);
  path_out.enqueue(CopyDirection::kToHost, out.copy, stretches_of(out.copy), to_host.get());
  path_back.enqueue(CopyDirection::kToGpu, back.copy, stretches_of(back.copy), to_gpu.get());
  to_host.wait();
  to_gpu.wait();
  report.expect(out.chunk_content() == chunk, "to the host, " + name);
  report.expect(back.cache.content() == expected_back.content(), "to the GPU, " + name);
}

}  // namespace

void check_copy_paths(Report& report, bool large) {
  for (const CopyMethod method : {CopyMethod::kPerBlock, CopyMethod::kBatch,
                                  CopyMethod::kGatherCopy, CopyMethod::kZeroCopy}) {
    if (!available(method)) {
      report.expect_refused([&] { CopyPath(method, 1); }, "a method this build lacks");
      continue;
    }
    report.expect_refused([&] { CopyPath(method, 0); }, "no stream at all");
    for (const int streams : {1, 3, 20}) {
      for (const KvCase& c : kv_cases({48}, large && streams < 3)) {
        check_method(report, c, method, streams);
      }
    }
  }
  std::int64_t planes = 0;
  for (int i = 0; i < 3; ++i) {
    const PlaneRange range = planes_of_stream({5, 1, 1, 16, 2}, i, 3);
    report.expect(range.first == planes, "streams take neighbouring planes");
    planes += range.count;
  }
  report.expect(planes == 10, "streams take all planes");
}

}  // namespace kvsim::kernels
