// Caches and spans that the copies of paged KV are checked with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/check/check.hpp"
#include "kernels/device_memory.hpp"
#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {

struct KvCase {
  KvShape shape;
  KvLayout layout = KvLayout::kLayerFirst;
  bool separate_layers = false;
  std::int64_t first_token = 0;
  std::int64_t tokens = 0;
};

std::string describe(const KvCase& c);
// All layouts, also with separate layers, spans that start and end inside blocks, K and V or one
// latent, rows of each of the given sizes.
std::vector<KvCase> kv_cases(const std::vector<std::int64_t>& row_bytes, bool large);

// A cache in host or device memory: one allocation, or one per layer.
class HostCache {
 public:
  HostCache(const KvCase& c, const Memory& content);
  [[nodiscard]] KvCache view() const;
  [[nodiscard]] Memory content() const;

 private:
  KvLayout layout_;
  std::vector<Memory> parts_;
  std::vector<std::byte*> bases_;
};

class DeviceCache {
 public:
  DeviceCache(const KvCase& c, const Memory& content);
  [[nodiscard]] KvCache view() const;  // layer_bases on the device
  [[nodiscard]] KvCache view_of_host() const;
  [[nodiscard]] Memory content() const;

 private:
  KvLayout layout_;
  std::vector<DeviceBuffer<std::byte>> parts_;
  std::vector<std::byte*> bases_;
  std::unique_ptr<DeviceBuffer<std::byte*>> device_bases_;
};

}  // namespace kvsim::kernels
