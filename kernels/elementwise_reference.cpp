#include <cmath>

#include "kernels/elementwise.hpp"

namespace kvsim::kernels {

void run_reference(const RmsNorm& op) {
  for (std::int64_t row = 0; row < op.rows; ++row) {
    const Bf16* x = op.x + row * op.width;
    double squares = 0;
    for (std::int64_t i = 0; i < op.width; ++i) {
      squares += static_cast<double>(to_float(x[i])) * to_float(x[i]);
    }
    const double factor = 1 / std::sqrt(squares / static_cast<double>(op.width) + op.epsilon);
    for (std::int64_t i = 0; i < op.width; ++i) {
      op.out[row * op.width + i] =
          to_bf16(static_cast<float>(to_float(x[i]) * factor * to_float(op.weight[i])));
    }
  }
}

void run_reference(const SiluMultiply& op) {
  for (std::int64_t row = 0; row < op.rows; ++row) {
    const Bf16* x = op.x + row * 2 * op.width;
    for (std::int64_t i = 0; i < op.width; ++i) {
      const double gate = to_float(x[i]);
      op.out[row * op.width + i] =
          to_bf16(static_cast<float>(gate / (1 + std::exp(-gate)) * to_float(x[op.width + i])));
    }
  }
}

void run_reference(const Rotary& op) {
  const std::int64_t half = op.head_dim / 2;
  for (std::int64_t token = 0; token < op.tokens; ++token) {
    const float* table = op.cos_sin + op.positions[token] * op.head_dim;
    for (std::int64_t head = 0; head < op.heads; ++head) {
      Bf16* x = op.x + (token * op.heads + head) * op.head_dim;
      for (std::int64_t i = 0; i < half; ++i) {
        const double a = to_float(x[i]);
        const double b = to_float(x[half + i]);
        x[i] = to_bf16(static_cast<float>(a * table[i] - b * table[half + i]));
        x[half + i] = to_bf16(static_cast<float>(b * table[i] + a * table[half + i]));
      }
    }
  }
}

void run_reference(const ResidualAdd& op) {
  for (std::int64_t i = 0; i < op.count; ++i) {
    op.residual[i] = to_bf16(to_float(op.residual[i]) + to_float(op.x[i]));
  }
}

}  // namespace kvsim::kernels
