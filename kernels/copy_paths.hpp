// Four ways to move a chunk of paged KV between the GPU and pinned host memory, each on one or more
// streams:
//   per block     one cudaMemcpyAsync per contiguous stretch (a block of a plane)
//   batch         the same list handed over by one cudaMemcpyBatchAsync (CUDA 12.8)
//   gather copy   a kernel gathers into a staging buffer, one cudaMemcpyAsync moves that; with
//                 several streams one part's kernel overlaps another part's copy
//   zero copy     the kernel itself reads or writes the pinned memory
// The definition of what arrives is gather_reference / scatter_reference with the host buffer as
// the chunk; all methods must agree with it byte for byte.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/paged_kv_device.hpp"

namespace kvsim::kernels {

enum class CopyMethod { kPerBlock, kBatch, kGatherCopy, kZeroCopy };
enum class CopyDirection { kToHost, kToGpu };

const char* name_of(CopyMethod method);
// Whether this build has the method: batch needs CUDA 12.8.
bool available(CopyMethod method);

// Owns nothing; all of it must stay until the copy has ended.
struct KvCopy {
  KvShape shape;
  KvCache cache;          // as the device sees it
  KvCache cache_on_host;  // the same, with layer_bases readable by the host
  KvSpan span;            // with the block table readable by the host
  const std::int32_t* device_table = nullptr;
  std::byte* chunk = nullptr;    // pinned host memory, chunk_bytes
  std::byte* staging = nullptr;  // device memory, chunk_bytes; gather copy only
};

// What the per-block and batch methods enqueue.
struct Stretch {
  std::byte* device;
  std::byte* host;
  std::size_t bytes;
};
std::vector<Stretch> stretches_of(const KvCopy& copy);

// The planes that stream `stream` of `streams` takes; count may be 0.
PlaneRange planes_of_stream(const KvShape& shape, int stream, int streams);

// A method with its streams and events. Not copyable; destroyed only when its copies have ended.
class CopyPath {
 public:
  // Throws std::invalid_argument for streams < 1 or a method that is not available.
  CopyPath(CopyMethod method, int streams);
  CopyPath(const CopyPath&) = delete;
  CopyPath& operator=(const CopyPath&) = delete;
  ~CopyPath();

  // Enqueues the copy after what is on `stream` already; what comes on `stream` later follows it.
  // `stretches` is stretches_of(copy), made by the caller once since engines know their descriptors
  // beforehand.
  void enqueue(CopyDirection direction, const KvCopy& copy, const std::vector<Stretch>& stretches,
               cudaStream_t stream);

 private:
  struct Worker {
    cudaStream_t stream = nullptr;
    cudaEvent_t done = nullptr;
  };
  void enqueue_stretches(CopyDirection direction, const Stretch* first, std::size_t count,
                         cudaStream_t stream);
  void enqueue_planes(CopyDirection direction, const KvCopy& copy, PlaneRange planes,
                      cudaStream_t stream);

  CopyMethod method_;
  std::vector<Worker> workers_;
  cudaEvent_t start_ = nullptr;
};

}  // namespace kvsim::kernels
