// Checks the paged KV copies without a test framework, so that it also runs on a bare GPU machine:
// the host references always (against loops over single bytes, and there and back), the device
// kernels against the references when this was built with CUDA and a GPU is present.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels/paged_kv.hpp"
#ifdef KVSIM_KERNELS_DEVICE
#include "kernels/paged_kv_device.hpp"
#endif

namespace {

using namespace kvsim::kernels;
using Memory = std::vector<std::byte>;

struct Case {
  KvShape shape;
  KvLayout layout;
  std::int64_t first_token;
  std::int64_t tokens;
};

int failures = 0;

void expect(bool condition, const char* what, const Case& c) {
  if (condition) return;
  ++failures;
  std::fprintf(stderr, "FAILED %s: %s, %lld layers, blocks of %lld, tokens %lld+%lld\n", what,
               c.layout == KvLayout::kLayerFirst ? "layer first" : "block first",
               static_cast<long long>(c.shape.layers), static_cast<long long>(c.shape.block_tokens),
               static_cast<long long>(c.first_token), static_cast<long long>(c.tokens));
}

std::vector<Case> cases() {
  const KvShape small{.layers = 3, .blocks = 11, .block_tokens = 4, .row_bytes = 48};
  const KvShape llama8b{.layers = 32, .blocks = 24, .block_tokens = 16, .row_bytes = 2048};
  std::vector<Case> out;
  for (const KvLayout layout : {KvLayout::kLayerFirst, KvLayout::kBlockFirst}) {
    out.push_back({small, layout, 0, 4});
    out.push_back({small, layout, 0, 10});  // ends inside a block
    out.push_back({small, layout, 3, 6});   // starts inside a block
    out.push_back({small, layout, 5, 1});
    out.push_back({llama8b, layout, 16, 256});
  }
  return out;
}

// Distinct blocks in no order: 7 is prime to the block counts above.
std::vector<std::int32_t> block_table(const Case& c) {
  std::vector<std::int32_t> table(static_cast<std::size_t>(c.shape.blocks));
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::int32_t>((i * 7 + 2) % table.size());
  }
  return table;
}

// Bytes that differ from their neighbours at every stride that occurs (Knuth's multiplier).
Memory pattern(std::int64_t bytes, unsigned salt) {
  Memory out(static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::byte>(((static_cast<unsigned>(i) + salt) * 2654435761U) >> 24);
  }
  return out;
}

// The definition of gather once more, index by index, with nothing shared with the code under test.
Memory gather_by_bytes(const Case& c, const std::vector<std::int32_t>& table, const Memory& cache) {
  Memory chunk;
  const auto [layers, blocks, block_tokens, row] = c.shape;
  for (std::int64_t part = 0; part < 2; ++part) {
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      for (std::int64_t t = c.first_token; t < c.first_token + c.tokens; ++t) {
        const std::int64_t b = table[static_cast<std::size_t>(t / block_tokens)];
        const std::int64_t s = t % block_tokens;
        for (std::int64_t i = 0; i < row; ++i) {
          const std::int64_t at =
              c.layout == KvLayout::kLayerFirst
                  ? i + row * (s + block_tokens * (b + blocks * (part + 2 * layer)))
                  : i + row * (s + block_tokens * (part + 2 * (layer + layers * b)));
          chunk.push_back(cache[static_cast<std::size_t>(at)]);
        }
      }
    }
  }
  return chunk;
}

void check_host(const Case& c) {
  const auto table = block_table(c);
  const KvSpan span{table.data(), c.first_token, c.tokens};
  const Memory cache = pattern(c.shape.cache_bytes(), 1);
  Memory chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape)));
  gather_reference(c.shape, c.layout, span, cache.data(), chunk.data());
  expect(chunk == gather_by_bytes(c, table, cache), "host gather", c);

  // Into a cache with other content: the span arrives, and nothing else changes.
  const Memory other = pattern(c.shape.cache_bytes(), 99);
  Memory target = other;
  scatter_reference(c.shape, c.layout, span, chunk.data(), target.data());
  expect(gather_by_bytes(c, table, target) == chunk, "host scatter then gather", c);
  const Memory before = gather_by_bytes(c, table, other);
  scatter_reference(c.shape, c.layout, span, before.data(), target.data());
  expect(target == other, "host scatter stays inside the span", c);
}

#ifdef KVSIM_KERNELS_DEVICE

void require(cudaError_t status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(status));
  std::exit(3);
}

// Device memory with the bytes of a host vector.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& host) : bytes_(host.size() * sizeof(T)) {
    require(cudaMalloc(&data_, bytes_));
    require(cudaMemcpy(data_, host.data(), bytes_, cudaMemcpyHostToDevice));
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(data_); }
  T* data() { return static_cast<T*>(data_); }
  std::vector<T> fetch() const {
    std::vector<T> host(bytes_ / sizeof(T));
    require(cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

void check_device(const Case& c) {
  const auto table = block_table(c);
  OnDevice<std::int32_t> device_table(table);
  const KvSpan span{table.data(), c.first_token, c.tokens};
  const KvSpan device_span{device_table.data(), c.first_token, c.tokens};
  const Memory cache = pattern(c.shape.cache_bytes(), 1);
  Memory chunk(static_cast<std::size_t>(span.chunk_bytes(c.shape)));
  gather_reference(c.shape, c.layout, span, cache.data(), chunk.data());

  OnDevice<std::byte> device_cache(cache);
  OnDevice<std::byte> device_chunk(Memory(chunk.size()));
  gather_device(c.shape, c.layout, device_span, device_cache.data(), device_chunk.data(), nullptr);
  require(cudaDeviceSynchronize());
  expect(device_chunk.fetch() == chunk, "device gather", c);

  Memory target = pattern(c.shape.cache_bytes(), 99);
  OnDevice<std::byte> device_target(target);
  scatter_reference(c.shape, c.layout, span, chunk.data(), target.data());
  scatter_device(c.shape, c.layout, device_span, device_chunk.data(), device_target.data(),
                 nullptr);
  require(cudaDeviceSynchronize());
  expect(device_target.fetch() == target, "device scatter", c);
}

void check_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
    std::puts("no GPU here: the device kernels were compiled but not run");
    return;
  }
  for (const Case& c : cases()) check_device(c);
  std::puts("device kernels compared with the host references");
}

#else

void check_devices() { std::puts("built without CUDA: host references only"); }

#endif

}  // namespace

int main() {
  for (const Case& c : cases()) check_host(c);
  check_devices();
  std::printf("%s\n", failures == 0 ? "ok" : "failed");
  return failures == 0 ? 0 : 1;
}
