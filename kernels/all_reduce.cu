#include <algorithm>
#include <stdexcept>

#include "kernels/all_reduce.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kBlocksMax = 512;

struct alignas(16) Vector {
  Bf16 at[8];
};

__global__ void __launch_bounds__(kThreads) reduce_part(AllReduce op, WordRange part) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t word =
           part.first + static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       word < part.end; word += stride) {
    float sums[8] = {};
    for (int gpu = 0; gpu < op.gpus; ++gpu) {
      const Vector in = reinterpret_cast<const Vector*>(op.in[gpu])[word];
      for (int i = 0; i < 8; ++i) sums[i] += to_float(in.at[i]);
    }
    Vector out;
    for (int i = 0; i < 8; ++i) out.at[i] = to_bf16(sums[i]);
    for (int gpu = 0; gpu < op.gpus; ++gpu) reinterpret_cast<Vector*>(op.out[gpu])[word] = out;
  }
}

}  // namespace

void all_reduce_device(const AllReduce& op, int gpu, cudaStream_t stream) {
  if (op.gpus < 1 || op.gpus > kGpusMax || gpu < 0 || gpu >= op.gpus || op.count <= 0 ||
      op.count % 8 != 0) {
    throw std::invalid_argument("an all-reduce takes 1 to 8 GPUs and a multiple of 8 numbers");
  }
  const WordRange part = part_of(op, gpu);
  if (part.end <= part.first) return;
  const std::int64_t blocks = (part.end - part.first + kThreads - 1) / kThreads;
  launch(Launch{dim3(static_cast<unsigned>(std::min(blocks, kBlocksMax))), dim3(kThreads), stream},
         &reduce_part, op, part);
}

}  // namespace kvsim::kernels
