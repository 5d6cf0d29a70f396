// The copies of packed_kv.hpp as CUDA kernels, one warp per row.
#pragma once

#include "kernels/cuda.hpp"
#include "kernels/packed_kv.hpp"

namespace kvsim::kernels {

// Enqueues the copy on `stream` and returns; pointers as for gather_device. `packed` must be
// aligned to 16 bytes. Throws std::invalid_argument as check_packed_copy does, DeviceError when the
// launch fails.
void gather_packed_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                          PackedFormat format, std::byte* packed, cudaStream_t stream);
void scatter_packed_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                           PackedFormat format, const std::byte* packed, cudaStream_t stream);

}  // namespace kvsim::kernels
