#include "kernels/all_reduce.hpp"

namespace kvsim::kernels {

void all_reduce_reference(const AllReduce& op) {
  for (std::int64_t i = 0; i < op.count; ++i) {
    float sum = 0;
    for (int gpu = 0; gpu < op.gpus; ++gpu) sum += to_float(op.in[gpu][i]);
    for (int gpu = 0; gpu < op.gpus; ++gpu) op.out[gpu][i] = to_bf16(sum);
  }
}

}  // namespace kvsim::kernels
