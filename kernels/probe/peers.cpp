// All-reduce over 2, 4 and 8 GPUs of this machine that can read each other's memory. Wall-clock
// time of the host, from the first launch until all GPUs have ended: what a caller waits.
#include <algorithm>
#include <chrono>
#include <memory>

#include "kernels/all_reduce.hpp"
#include "kernels/probe/session.hpp"

namespace kvsim::kernels {
namespace {

// One GPU's vectors and stream, made while it was current.
struct Member {
  explicit Member(std::size_t count) : in(count), out(count) {
    fill_random(in.data(), count * sizeof(Bf16));
  }
  DeviceBuffer<Bf16> in;
  DeviceBuffer<Bf16> out;
  Stream stream;
};

// Makes the session's GPU current again whatever happens.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) : device_(device) {}
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  ~CurrentDevice() { cudaSetDevice(device_); }

 private:
  int device_;
};

class AllReduceStopwatch final : public Stopwatch {
 public:
  AllReduceStopwatch(const AllReduce& op, const std::vector<std::unique_ptr<Member>>& members)
      : op_(op), members_(members) {}

  double time(int repeats) override {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) {
      for (int gpu = 0; gpu < op_.gpus; ++gpu) {
        require(cudaSetDevice(gpu), "device");
        all_reduce_device(op_, gpu, members_[static_cast<std::size_t>(gpu)]->stream.get());
      }
      for (const auto& member : members_) member->stream.wait();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  const AllReduce& op_;
  const std::vector<std::unique_ptr<Member>>& members_;
};

bool connect(int gpus) {
  for (int a = 0; a < gpus; ++a) {
    require(cudaSetDevice(a), "device");
    for (int b = 0; b < gpus; ++b) {
      int can = 1;
      if (a == b) continue;
      require(cudaDeviceCanAccessPeer(&can, a, b), "peer access");
      if (can == 0) return false;
      const cudaError_t status = cudaDeviceEnablePeerAccess(b, 0);
      if (status == cudaErrorPeerAccessAlreadyEnabled) {
        cudaGetLastError();  // forget it
      } else {
        require(status, "peer access");
      }
    }
  }
  return true;
}

void measure_all_reduce(Session& session, int gpus) {
  const CurrentDevice keep(session.device().index);
  const std::string name = "all-reduce over " + std::to_string(gpus);
  if (!connect(gpus)) return session.skip(name, "no peer access between the GPUs");
  for (std::int64_t bytes = 4096; bytes <= std::int64_t{64} << 20; bytes *= 4) {
    AllReduce op;
    op.gpus = gpus;
    op.count = bytes / static_cast<std::int64_t>(sizeof(Bf16));
    std::vector<std::unique_ptr<Member>> members;
    for (int gpu = 0; gpu < gpus; ++gpu) {
      require(cudaSetDevice(gpu), "device");
      members.push_back(std::make_unique<Member>(static_cast<std::size_t>(op.count)));
      op.in[gpu] = members.back()->in.data();
      op.out[gpu] = members.back()->out.data();
    }
    AllReduceStopwatch stopwatch(op, members);
    session.measure(
        {"all-reduce",
         {label("gpus", gpus), label("method", "peer-copies"), label("timed_by", "host")},
         static_cast<double>(bytes)},
        stopwatch);
  }
}

}  // namespace

void add_all_reduce(std::vector<Step>& steps, const Device& device) {
  for (const int gpus : {2, 4, 8}) {
    if (gpus > std::min(device.count, kGpusMax)) break;
    steps.push_back({"all-reduce over " + std::to_string(gpus),
                     [gpus](Session& session) { measure_all_reduce(session, gpus); }});
  }
}

}  // namespace kvsim::kernels
