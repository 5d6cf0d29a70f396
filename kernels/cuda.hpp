// What the kernels need of CUDA: the toolkit's own headers, or, without nvcc, the emulation in
// kernels/emulated/, which runs the same kernels on the CPU for the tests. Kernels are started with
// launch() because <<<>>> is not C++.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>

#ifdef KVSIM_EMULATED
#include "kernels/emulated/cuda_runtime.hpp"
#else
#include <cuda_runtime.h>
#ifdef __CUDACC__
#include <cuda_pipeline_primitives.h>
#endif
#endif

namespace kvsim::kernels {

// The device or its driver refused: no memory, no driver, a failed launch.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string(what) + ": " + cudaGetErrorString(status));
}

struct Launch {
  dim3 grid;
  dim3 block;
  cudaStream_t stream = nullptr;
  std::size_t shared_bytes = 0;  // dynamic shared memory
};

#if defined(KVSIM_EMULATED)
template <class... P, class... A>
void launch(const Launch& how, void (*kernel)(P...), A... arguments) {
  emulated::run_grid(how.grid, how.block, how.shared_bytes, [=] { kernel(arguments...); });
}
#elif defined(__CUDACC__)
// Throws DeviceError when the launch is refused; faults while it runs show up later.
template <class... P, class... A>
void launch(const Launch& how, void (*kernel)(P...), A... arguments) {
  if (how.shared_bytes > 48 * 1024) {
    require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(how.shared_bytes)),
            "shared memory of a kernel");
  }
  static_assert((std::is_same_v<P, A> && ...), "arguments are handed over by address");
  void* addresses[] = {static_cast<void*>(&arguments)...};
  require(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), how.grid, how.block, addresses,
                           how.shared_bytes, how.stream),
          "kernel launch");
}

namespace emulated {
// The dynamic shared memory of this thread block; the emulation has its own version.
__device__ inline std::byte* shared_memory() {
  extern __shared__ uint4 kvsim_shared_memory[];
  return reinterpret_cast<std::byte*>(kvsim_shared_memory);
}
}  // namespace emulated
#endif

}  // namespace kvsim::kernels
