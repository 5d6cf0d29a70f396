// The copies of paged_kv.hpp as CUDA kernels: one launch moves all layers of a chunk, with 16-byte
// words. The cache and the block table are device memory; the chunk is device memory too, or pinned
// host memory that the device can reach (then the kernel itself is the PCIe copy).
#pragma once

#include <cuda_runtime.h>

#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {

// Enqueues the copy on `stream` and returns. Pointers must be 16-byte aligned. Block ids are not
// checked. Throws std::invalid_argument as check_copy does, std::runtime_error when the launch
// fails.
void gather_device(const KvShape& shape, KvLayout layout, const KvSpan& span,
                   const std::byte* cache, std::byte* chunk, cudaStream_t stream);
void scatter_device(const KvShape& shape, KvLayout layout, const KvSpan& span,
                    const std::byte* chunk, std::byte* cache, cudaStream_t stream);

}  // namespace kvsim::kernels
