// The small operators around a transformer's matrix products, bf16 in and out, float inside:
// RMS norm, SiLU-and-multiply, rotary embedding, addition of the residual. All are bound by memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels {

// out[r][i] = x[r][i] / sqrt(mean over i of x[r][i]^2 + epsilon) * weight[i]
struct RmsNorm {
  const Bf16* x;
  const Bf16* weight;
  Bf16* out;
  std::int64_t rows;
  std::int64_t width;
  float epsilon;
};

// out[r][i] = silu(x[r][i]) * x[r][width + i]; rows of x have 2 * width numbers.
struct SiluMultiply {
  const Bf16* x;
  Bf16* out;
  std::int64_t rows;
  std::int64_t width;
};

// Rotates the pairs (i, i + head_dim / 2) of every head of x[token][head][head_dim] in place by the
// token's position (the order of GPT-NeoX and Llama). cos_sin[position] holds head_dim / 2 cosines,
// then as many sines.
struct Rotary {
  Bf16* x;
  const std::int32_t* positions;
  const float* cos_sin;
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t head_dim;
};

// residual[i] += x[i]
struct ResidualAdd {
  const Bf16* x;
  Bf16* residual;
  std::int64_t count;
};

void run_reference(const RmsNorm& op);
void run_reference(const SiluMultiply& op);
void run_reference(const Rotary& op);
void run_reference(const ResidualAdd& op);

// Enqueue on `stream` and return. Widths must be multiples of 8 and pointers aligned to 16 bytes,
// head_dim / 2 and count likewise multiples of 8 (std::invalid_argument); DeviceError when a launch
// fails. Results may differ from the references by one bf16 step.
void run_device(const RmsNorm& op, cudaStream_t stream);
void run_device(const SiluMultiply& op, cudaStream_t stream);
void run_device(const Rotary& op, cudaStream_t stream);
void run_device(const ResidualAdd& op, cudaStream_t stream);

}  // namespace kvsim::kernels
