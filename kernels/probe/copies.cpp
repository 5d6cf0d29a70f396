#include "kernels/probe/copies.hpp"

#include <algorithm>
#include <array>

#include "kernels/probe/session.hpp"

namespace kvsim::kernels {
namespace {

constexpr std::int64_t kPlanes = 16;  // K and V of 8 layers
constexpr std::int64_t kStretchesMax = 16384;

const char* operation_of(bool to_gpu, bool to_host) {
  if (to_gpu && to_host) return "copy-both";
  return to_gpu ? "copy-to-gpu" : "copy-to-host";
}

// Runs `main` on the session's stream and `other` beside it on one of its own.
class Fork {
 public:
  void enqueue(cudaStream_t stream, const std::function<void(cudaStream_t)>& main,
               const std::function<void(cudaStream_t)>& other) {
    require(cudaEventRecord(start_.get(), stream), "event");
    require(cudaStreamWaitEvent(side_.get(), start_.get(), 0), "wait");
    main(stream);
    other(side_.get());
    require(cudaEventRecord(end_.get(), side_.get()), "event");
    require(cudaStreamWaitEvent(stream, end_.get(), 0), "wait");
  }

 private:
  Stream side_;
  Event start_;
  Event end_;
};

void measure_memcpy(Session& session, std::size_t bytes) {
  const DeviceBuffer<std::byte> device(2 * bytes);
  const PinnedBuffer in(bytes);
  const PinnedBuffer out(bytes);
  Fork fork;
  const auto to_gpu = [&](cudaStream_t s) {
    require(cudaMemcpyAsync(device.data(), in.data(), bytes, cudaMemcpyHostToDevice, s), "copy");
  };
  const auto to_host = [&](cudaStream_t s) {
    require(cudaMemcpyAsync(out.data(), device.data() + bytes, bytes, cudaMemcpyDeviceToHost, s),
            "copy");
  };
  const cudaStream_t stream = session.stream().get();
  const std::array<std::function<void(int)>, 3> runs = {
      [&](int) { to_gpu(stream); }, [&](int) { to_host(stream); },
      [&](int) { fork.enqueue(stream, to_gpu, to_host); }};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const bool both = i == 2;
    const Work work{operation_of(i != 1, i != 0),
                    {label("method", "memcpy"), label("block_bytes", static_cast<double>(bytes)),
                     label("streams", both ? 2 : 1)},
                    static_cast<double>(bytes) * (both ? 2 : 1),
                    0,
                    both ? 2 : 1};
    GpuStopwatch stopwatch(session.stream(), runs[i]);
    const Row& row = session.measure(work, stopwatch);
    session.raise_peak(work.operation, work.bytes / row.measured.p50_s);
  }
}

void measure_device_copy(Session& session, std::size_t bytes) {
  const DeviceBuffer<std::byte> from(bytes);
  const DeviceBuffer<std::byte> to(bytes);
  GpuStopwatch stopwatch(session.stream(), [&](int) {
    require(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice,
                            session.stream().get()),
            "copy");
  });
  const Row& row = session.measure({"device-copy", {}, static_cast<double>(bytes)}, stopwatch);
  // Read and written; copies that fit in the L2 cache are no peak of the memory.
  if (static_cast<std::int64_t>(bytes) >=
      std::min(session.scale().payload_bytes, 4 * session.device().l2_bytes)) {
    session.raise_peak("device-copy", 2 * static_cast<double>(bytes) / row.measured.p50_s);
  }
}

void measure_path(Session& session, CopyMethod method, int streams, const CopySetting& in,
                  const CopySetting& out, bool to_gpu, bool to_host) {
  CopyPath path_in(method, streams);
  CopyPath path_out(method, streams);
  Fork fork;
  const auto run_in = [&](cudaStream_t s) {
    path_in.enqueue(CopyDirection::kToGpu, in.copy(), in.stretches(), s);
  };
  const auto run_out = [&](cudaStream_t s) {
    path_out.enqueue(CopyDirection::kToHost, out.copy(), out.stretches(), s);
  };
  GpuStopwatch stopwatch(session.stream(), [&](int) {
    if (to_gpu && to_host) {
      fork.enqueue(session.stream().get(), run_in, run_out);
    } else if (to_gpu) {
      run_in(session.stream().get());
    } else {
      run_out(session.stream().get());
    }
  });
  const int directions = to_gpu && to_host ? 2 : 1;
  const Work work{
      operation_of(to_gpu, to_host),
      {label("method", name_of(method)),
       label("block_bytes", static_cast<double>(in.copy().shape.row_bytes)),
       label("blocks", static_cast<double>(in.stretches().size())), label("streams", streams)},
      static_cast<double>(in.bytes()) * directions,
      0,
      directions};
  session.measure(work, stopwatch, {work.operation, work.bytes});
  session.stream().wait();
}

void measure_paths(Session& session, std::int64_t block_bytes) {
  const std::int64_t stretches =
      std::clamp(session.scale().payload_bytes / block_bytes, kPlanes, kStretchesMax);
  const CopySetting in(kPlanes, stretches / kPlanes, block_bytes);
  const CopySetting out(kPlanes, stretches / kPlanes, block_bytes);
  const std::vector<int> streams =
      session.scale().full ? std::vector<int>{1, 2, 3, 4} : std::vector<int>{1, 2, 4};
  for (const CopyMethod method : {CopyMethod::kPerBlock, CopyMethod::kBatch,
                                  CopyMethod::kGatherCopy, CopyMethod::kZeroCopy}) {
    if (!available(method)) continue;
    for (const int count : streams) {
      measure_path(session, method, count, in, out, true, false);
      measure_path(session, method, count, in, out, false, true);
      measure_path(session, method, count, in, out, true, true);
    }
  }
}

}  // namespace

CopySetting::CopySetting(std::int64_t planes, std::int64_t blocks, std::int64_t block_bytes)
    : shape_{planes, 2 * blocks, 1, block_bytes, 1},
      table_(scattered_blocks(blocks, 2 * blocks)),
      device_table_(table_),
      cache_(static_cast<std::size_t>(shape_.cache_bytes())),
      staging_(static_cast<std::size_t>(shape_.cache_bytes() / 2)),
      chunk_(static_cast<std::size_t>(shape_.cache_bytes() / 2)) {
  const KvCache cache{KvLayout::kLayerFirst, cache_.data(), nullptr};
  copy_ = {shape_,        cache,          cache, {table_.data(), 0, blocks}, device_table_.data(),
           chunk_.data(), staging_.data()};
  stretches_ = stretches_of(copy_);
}

void add_copies(std::vector<Step>& steps, const Scale& scale) {
  for (std::int64_t bytes = scale.full ? 4096 : 65536; bytes < scale.payload_bytes;
       bytes *= scale.full ? 4 : 16) {
    steps.push_back({"memcpy " + std::to_string(bytes), [bytes](Session& session) {
                       measure_memcpy(session, static_cast<std::size_t>(bytes));
                       measure_device_copy(session, static_cast<std::size_t>(bytes));
                     }});
  }
  steps.push_back({"memcpy " + std::to_string(scale.payload_bytes), [](Session& session) {
                     const auto bytes = static_cast<std::size_t>(session.scale().payload_bytes);
                     measure_memcpy(session, bytes);
                     measure_device_copy(session, bytes);
                   }});
  for (std::int64_t block = scale.full ? 4096 : 16384; block <= std::int64_t{4} << 20;
       block *= scale.full ? 2 : 4) {
    if (block * kPlanes > scale.payload_bytes) break;
    steps.push_back({"copies of blocks of " + std::to_string(block),
                     [block](Session& session) { measure_paths(session, block); }});
  }
}

}  // namespace kvsim::kernels
