#include "kernels/emulated/cuda_runtime.hpp"

#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace kvsim::kernels::emulated {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;
constexpr unsigned kWarpThreads = 32;

enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  dim3 index;
  State state = State::kReady;
  std::uint64_t exchanged = 0;
};

// All threads of one block at a time. One instance, since CUDA's built-ins are globals too.
class BlockRunner {
 public:
  void run(dim3 block, const std::function<void()>& thread) {
    thread_ = &thread;
    count_ = block.x * block.y * block.z;
    while (fibers_.size() < count_) fibers_.push_back(std::make_unique<Fiber>());
    for (unsigned i = 0; i < count_; ++i) prepare(*fibers_[i], i, block);
    while (pass()) release();
  }

  void wait(State at) {
    Fiber& self = *fibers_[current_];
    self.state = at;
    swapcontext(&self.context, &scheduler_);
  }

  std::uint64_t exchange(std::uint64_t value, unsigned from) {
    fibers_[current_]->exchanged = value;
    wait(State::kAtWarpBarrier);
    const unsigned source = current_ - current_ % kWarpThreads + from;
    const std::uint64_t got = fibers_[source]->exchanged;
    wait(State::kAtWarpBarrier);
    return got;
  }

  void body() {
    (*thread_)();
    fibers_[current_]->state = State::kDone;
  }

  [[nodiscard]] unsigned current() const { return current_; }

  bool reverse = false;
  std::byte* shared = nullptr;

 private:
  void prepare(Fiber& fiber, unsigned i, dim3 block);

  // Runs one warp after the other, each as far as it gets, so that a barrier of the block that is
  // missing between warps shows; false when all threads have ended.
  bool pass() {
    bool left = false;
    const unsigned warps = (count_ + kWarpThreads - 1) / kWarpThreads;
    for (unsigned turn = 0; turn < warps; ++turn) {
      const unsigned first = (reverse ? warps - 1 - turn : turn) * kWarpThreads;
      const unsigned end = std::min(first + kWarpThreads, count_);
      do {
        run_ready(first, end);
      } while (all_at(first, end, State::kAtWarpBarrier) && set_ready(first, end));
      left |= !all_at(first, end, State::kDone);
    }
    return left;
  }

  void run_ready(unsigned first, unsigned end) {
    for (unsigned turn = 0; turn < end - first; ++turn) {
      const unsigned i = reverse ? end - 1 - turn : first + turn;
      if (fibers_[i]->state != State::kReady) continue;
      current_ = i;
      threadIdx = fibers_[i]->index;
      swapcontext(&scheduler_, &fibers_[i]->context);
    }
  }

  // Opens the barrier of the block once all threads have reached it.
  void release() {
    if (all_at(0, count_, State::kAtBlockBarrier) && set_ready(0, count_)) return;
    std::fputs("emulated kernel: a barrier that not all threads reach\n", stderr);
    std::abort();
  }

  [[nodiscard]] bool all_at(unsigned first, unsigned end, State state) const {
    return std::all_of(fibers_.begin() + first, fibers_.begin() + end,
                       [&](const auto& fiber) { return fiber->state == state; });
  }

  bool set_ready(unsigned first, unsigned end) {
    for (unsigned i = first; i < end; ++i) fibers_[i]->state = State::kReady;
    return true;
  }

  const std::function<void()>* thread_ = nullptr;
  unsigned count_ = 0;
  unsigned current_ = 0;
  ucontext_t scheduler_{};
  std::vector<std::unique_ptr<Fiber>> fibers_;
};

BlockRunner& runner() {
  static BlockRunner instance;
  return instance;
}

void fiber_main() { runner().body(); }

void BlockRunner::prepare(Fiber& fiber, unsigned i, dim3 block) {
  fiber.index = dim3(i % block.x, i / block.x % block.y, i / block.x / block.y);
  fiber.state = State::kReady;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = &scheduler_;
  makecontext(&fiber.context, fiber_main, 0);
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Memory of this many bytes "on the device", so that running out can be tested.
constexpr std::size_t kDeviceBytes = std::size_t{1} << 30;

}  // namespace

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes,
              const std::function<void()>& thread) {
  gridDim = grid;
  blockDim = block;
  void* memory = nullptr;
  if (shared_bytes != 0 && posix_memalign(&memory, 128, shared_bytes) != 0) std::abort();
  auto* shared = static_cast<std::byte*>(memory);
  runner().shared = shared;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        if (shared != nullptr) std::memset(shared, 0xff, shared_bytes);
        runner().run(block, thread);
      }
    }
  }
  std::free(shared);
}

std::byte* shared_memory() { return runner().shared; }
void reverse_threads(bool reverse) { runner().reverse = reverse; }
void block_barrier() { runner().wait(State::kAtBlockBarrier); }
void warp_barrier() { runner().wait(State::kAtWarpBarrier); }
std::uint64_t exchange(std::uint64_t value, unsigned from) {
  return runner().exchange(value, from);
}
unsigned lane() { return runner().current() % kWarpThreads; }

}  // namespace kvsim::kernels::emulated

using kvsim::kernels::emulated::now_s;

const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "out of memory" : "emulated error";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaMalloc(void** at, std::size_t bytes) {
  if (bytes > kvsim::kernels::emulated::kDeviceBytes) return cudaErrorMemoryAllocation;
  *at = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *at == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFree(void* at) {
  std::free(at);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** at, std::size_t bytes, unsigned) { return cudaMalloc(at, bytes); }
cudaError_t cudaFreeHost(void* at) { return cudaFree(at); }
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  *free_bytes = *total_bytes = kvsim::kernels::emulated::kDeviceBytes;
  return cudaSuccess;
}
cudaError_t cudaMemset(void* at, int value, std::size_t bytes) {
  std::memset(at, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t) {
  return cudaMemset(at, value, bytes);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  return cudaMemcpy(to, from, bytes, kind);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->at_s = now_s();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = static_cast<float>((to->at_s - from->at_s) * 1e3);
  return cudaSuccess;
}
