// All-reduce of bf16 vectors that several GPUs can read of each other (peer access): each GPU sums
// one part of all vectors and writes the sum to all results. One kernel per GPU, which is what
// engines' own all-reduce does for small messages; larger ones take NCCL, which is left out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels {

constexpr int kGpusMax = 8;

struct AllReduce {
  const Bf16* in[kGpusMax] = {};
  Bf16* out[kGpusMax] = {};  // apart from all `in`
  int gpus = 0;
  std::int64_t count = 0;  // numbers per vector, a multiple of 8
};

// The words of 8 numbers that GPU `gpu` sums.
struct WordRange {
  std::int64_t first;
  std::int64_t end;
};
KVSIM_HOST_DEVICE constexpr WordRange part_of(const AllReduce& op, int gpu) {
  const std::int64_t words = op.count / 8;
  return {words * gpu / op.gpus, words * (gpu + 1) / op.gpus};
}

// Sums in float in the order of the GPUs, so that all get the same bits.
void all_reduce_reference(const AllReduce& op);

// The part of one GPU, enqueued on a stream of that GPU, which must be current. Results are
// complete when all GPUs' parts have ended.
void all_reduce_device(const AllReduce& op, int gpu, cudaStream_t stream);

}  // namespace kvsim::kernels
