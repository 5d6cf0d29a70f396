#include <cmath>
#include <stdexcept>

#include "kernels/elementwise.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kWarps = kThreads / 32;
constexpr std::int64_t kVector = 8;  // numbers per 16-byte word

struct alignas(16) Vector {
  Bf16 at[kVector];
};

__device__ const Vector* vectors(const Bf16* x) { return reinterpret_cast<const Vector*>(x); }
__device__ Vector* vectors(Bf16* x) { return reinterpret_cast<Vector*>(x); }

__device__ float sum_of_warp(float x) {
  for (int mask = 16; mask > 0; mask /= 2) x += __shfl_xor_sync(0xffffffffU, x, mask);
  return x;
}

// A thread block per row; the second pass finds the row in a cache.
__global__ void __launch_bounds__(kThreads) rms_norm(RmsNorm op) {
  auto* sums = reinterpret_cast<float*>(emulated::shared_memory());
  const Vector* x = vectors(op.x + blockIdx.x * op.width);
  const std::int64_t words = op.width / kVector;
  float squares = 0;
  for (std::int64_t word = threadIdx.x; word < words; word += kThreads) {
    const Vector in = x[word];
    for (const Bf16 number : in.at) squares += to_float(number) * to_float(number);
  }
  squares = sum_of_warp(squares);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = squares;
  __syncthreads();
  float total = 0;
  for (unsigned i = 0; i < kWarps; ++i) total += sums[i];
  const float factor = 1.0F / sqrtf(total / static_cast<float>(op.width) + op.epsilon);
  Vector* out = vectors(op.out + blockIdx.x * op.width);
  for (std::int64_t word = threadIdx.x; word < words; word += kThreads) {
    const Vector in = x[word];
    const Vector weight = vectors(op.weight)[word];
    Vector result;
    for (std::int64_t i = 0; i < kVector; ++i) {
      result.at[i] = to_bf16(to_float(in.at[i]) * factor * to_float(weight.at[i]));
    }
    out[word] = result;
  }
}

__global__ void __launch_bounds__(kThreads) silu_multiply(SiluMultiply op, std::int64_t threads) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= threads) return;
  const std::int64_t words = op.width / kVector;
  const std::int64_t row = thread / words;
  const std::int64_t word = thread % words;
  const Vector gates = vectors(op.x + row * 2 * op.width)[word];
  const Vector ups = vectors(op.x + row * 2 * op.width + op.width)[word];
  Vector result;
  for (std::int64_t i = 0; i < kVector; ++i) {
    const float gate = to_float(gates.at[i]);
    result.at[i] = to_bf16(gate / (1.0F + expf(-gate)) * to_float(ups.at[i]));
  }
  vectors(op.out + row * op.width)[word] = result;
}

// A thread takes eight pairs.
__global__ void __launch_bounds__(kThreads) rotary(Rotary op, std::int64_t threads) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= threads) return;
  const std::int64_t half = op.head_dim / 2;
  const std::int64_t words = half / kVector;
  const std::int64_t word = thread % words;
  const std::int64_t row = thread / words;  // token and head
  const float* table = op.cos_sin + op.positions[row / op.heads] * op.head_dim + word * kVector;
  Bf16* x = op.x + row * op.head_dim;
  Vector lower = vectors(x)[word];
  Vector upper = vectors(x + half)[word];
  for (std::int64_t i = 0; i < kVector; ++i) {
    const float a = to_float(lower.at[i]);
    const float b = to_float(upper.at[i]);
    lower.at[i] = to_bf16(a * table[i] - b * table[half + i]);
    upper.at[i] = to_bf16(b * table[i] + a * table[half + i]);
  }
  vectors(x)[word] = lower;
  vectors(x + half)[word] = upper;
}

__global__ void __launch_bounds__(kThreads) residual_add(ResidualAdd op, std::int64_t threads) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= threads) return;
  const Vector x = vectors(op.x)[thread];
  Vector residual = vectors(op.residual)[thread];
  for (std::int64_t i = 0; i < kVector; ++i) {
    residual.at[i] = to_bf16(to_float(residual.at[i]) + to_float(x.at[i]));
  }
  vectors(op.residual)[thread] = residual;
}

Launch flat(std::int64_t threads, cudaStream_t stream) {
  return Launch{dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads)), dim3(kThreads),
                stream};
}

void check(std::int64_t rows, std::int64_t width) {
  if (rows <= 0 || width <= 0 || width % kVector != 0) {
    throw std::invalid_argument("widths must be positive multiples of 8 and rows positive");
  }
}

}  // namespace

void run_device(const RmsNorm& op, cudaStream_t stream) {
  check(op.rows, op.width);
  launch(
      Launch{dim3(static_cast<unsigned>(op.rows)), dim3(kThreads), stream, kWarps * sizeof(float)},
      &rms_norm, op);
}

void run_device(const SiluMultiply& op, cudaStream_t stream) {
  check(op.rows, op.width);
  const std::int64_t threads = op.rows * (op.width / kVector);
  launch(flat(threads, stream), &silu_multiply, op, threads);
}

void run_device(const Rotary& op, cudaStream_t stream) {
  check(op.tokens * op.heads, op.head_dim / 2);
  const std::int64_t threads = op.tokens * op.heads * (op.head_dim / 2 / kVector);
  launch(flat(threads, stream), &rotary, op, threads);
}

void run_device(const ResidualAdd& op, cudaStream_t stream) {
  check(1, op.count);
  launch(flat(op.count / kVector, stream), &residual_add, op, op.count / kVector);
}

}  // namespace kvsim::kernels
