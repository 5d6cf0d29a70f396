// What a copy of scattered blocks between GPU and host needs; shared by the measurements and by
// the live lane (--serve).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/copy_paths.hpp"
#include "kernels/device_memory.hpp"

namespace kvsim::kernels {

// A layer-first cache twice as large as the chunk, whose stretches are `block_bytes` long.
class CopySetting {
 public:
  // `planes` stretches of each block, `blocks` blocks in the chunk.
  CopySetting(std::int64_t planes, std::int64_t blocks, std::int64_t block_bytes);

  [[nodiscard]] const KvCopy& copy() const { return copy_; }
  [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }
  [[nodiscard]] std::int64_t bytes() const { return copy_.span.chunk_bytes(copy_.shape); }

 private:
  KvShape shape_;
  std::vector<std::int32_t> table_;
  DeviceBuffer<std::int32_t> device_table_;
  DeviceBuffer<std::byte> cache_;
  DeviceBuffer<std::byte> staging_;
  PinnedBuffer chunk_;
  KvCopy copy_;
  std::vector<Stretch> stretches_;
};

}  // namespace kvsim::kernels
