// The copies of paged_kv.hpp as CUDA kernels: one launch moves all planes of a chunk, in the widest
// words (16 bytes down to 1) that divide a row. The cache, the block table and the array of layer
// bases are device memory; the chunk is device memory too, or pinned host memory that the device
// can reach (then the kernel itself is the PCIe copy).
#pragma once

#include "kernels/cuda.hpp"
#include "kernels/paged_kv.hpp"

namespace kvsim::kernels {

// Planes [first, first + count) of the chunk; a plane is one part of one layer.
struct PlaneRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// Enqueues the copy on `stream` and returns. `chunk` points to the whole chunk, also where only
// some planes are copied. Allocations must be aligned to 16 bytes, or to the largest power of two
// that divides a row if that is less. Block ids are not checked. Throws std::invalid_argument as
// check_copy does and for planes of 2^31 words, DeviceError when the launch fails.
void gather_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                   PlaneRange planes, std::byte* chunk, cudaStream_t stream);
void scatter_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                    PlaneRange planes, const std::byte* chunk, cudaStream_t stream);

}  // namespace kvsim::kernels
