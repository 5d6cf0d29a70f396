#include "kernels/copy_paths.hpp"

#include <stdexcept>

// cudaMemcpyBatchAsync came with CUDA 12.8 and lost its last output argument in 13.0.
#if !defined(KVSIM_EMULATED) && CUDART_VERSION >= 12080
#define KVSIM_BATCH_COPY
#endif

namespace kvsim::kernels {
namespace {

cudaMemcpyKind kind_of(CopyDirection direction) {
  return direction == CopyDirection::kToHost ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice;
}

void copy_each(CopyDirection direction, const Stretch* first, std::size_t count,
               cudaStream_t stream) {
  for (const Stretch* piece = first; piece != first + count; ++piece) {
    const bool to_host = direction == CopyDirection::kToHost;
    require(cudaMemcpyAsync(to_host ? piece->host : piece->device,
                            to_host ? piece->device : piece->host, piece->bytes, kind_of(direction),
                            stream),
            "copy of a block");
  }
}

#ifdef KVSIM_BATCH_COPY
void copy_batch(CopyDirection direction, const Stretch* first, std::size_t count,
                cudaStream_t stream) {
  if (count == 0) return;
  std::vector<void*> to(count);
  std::vector<void*> from(count);
  std::vector<std::size_t> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool to_host = direction == CopyDirection::kToHost;
    to[i] = to_host ? first[i].host : first[i].device;
    from[i] = to_host ? first[i].device : first[i].host;
    sizes[i] = first[i].bytes;
  }
  cudaMemcpyAttributes attributes{};
  // Cache and chunk stay as they are until the copy has run, so it may read in stream order.
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
  std::size_t all_from = 0;
#if CUDART_VERSION >= 13000
  require(cudaMemcpyBatchAsync(to.data(), from.data(), sizes.data(), count, &attributes, &all_from,
                               1, stream),
          "batch of copies");
#else
  std::size_t failed = 0;
  require(cudaMemcpyBatchAsync(to.data(), from.data(), sizes.data(), count, &attributes, &all_from,
                               1, &failed, stream),
          "batch of copies");
#endif
}
#else
void copy_batch(CopyDirection, const Stretch*, std::size_t, cudaStream_t) {
  throw std::invalid_argument("this build has no cudaMemcpyBatchAsync");
}
#endif

}  // namespace

const char* name_of(CopyMethod method) {
  if (method == CopyMethod::kPerBlock) return "per-block";
  if (method == CopyMethod::kBatch) return "batch";
  return method == CopyMethod::kGatherCopy ? "gather-copy" : "zero-copy";
}

bool available([[maybe_unused]] CopyMethod method) {
#ifdef KVSIM_BATCH_COPY
  return true;
#else
  return method != CopyMethod::kBatch;
#endif
}

std::vector<Stretch> stretches_of(const KvCopy& copy) {
  const KvStrides strides = strides_of(copy.shape, copy.cache_on_host.layout);
  std::vector<Stretch> out;
  for_each_stretch(
      copy.shape, copy.span,
      [&](auto part, auto layer, auto block, auto slot, auto token, auto count) {
        out.push_back({cache_row(copy.shape, copy.cache_on_host, strides, part, layer, block, slot),
                       copy.chunk + chunk_offset(copy.shape, copy.span, part, layer, token),
                       static_cast<std::size_t>(count * copy.shape.row_bytes)});
      });
  return out;
}

PlaneRange planes_of_stream(const KvShape& shape, int stream, int streams) {
  const std::int64_t first = shape.planes() * stream / streams;
  return {first, shape.planes() * (stream + 1) / streams - first};
}

CopyPath::CopyPath(CopyMethod method, int streams) : method_(method) {
  if (streams < 1) throw std::invalid_argument("streams must be at least 1");
  if (!available(method)) throw std::invalid_argument("this build has no cudaMemcpyBatchAsync");
  require(cudaEventCreateWithFlags(&start_, cudaEventDisableTiming), "event");
  workers_.resize(static_cast<std::size_t>(streams));
  for (Worker& worker : workers_) {
    require(cudaStreamCreateWithFlags(&worker.stream, cudaStreamNonBlocking), "stream");
    require(cudaEventCreateWithFlags(&worker.done, cudaEventDisableTiming), "event");
  }
}

CopyPath::~CopyPath() {
  for (const Worker& worker : workers_) {
    cudaEventDestroy(worker.done);
    cudaStreamDestroy(worker.stream);
  }
  cudaEventDestroy(start_);
}

void CopyPath::enqueue(CopyDirection direction, const KvCopy& copy,
                       const std::vector<Stretch>& stretches, cudaStream_t stream) {
  require(cudaEventRecord(start_, stream), "event");
  const int streams = static_cast<int>(workers_.size());
  for (int i = 0; i < streams; ++i) {
    const Worker& worker = workers_[static_cast<std::size_t>(i)];
    require(cudaStreamWaitEvent(worker.stream, start_, 0), "wait");
    if (method_ == CopyMethod::kPerBlock || method_ == CopyMethod::kBatch) {
      const std::size_t first = stretches.size() * static_cast<std::size_t>(i) / workers_.size();
      const std::size_t end = stretches.size() * static_cast<std::size_t>(i + 1) / workers_.size();
      enqueue_stretches(direction, stretches.data() + first, end - first, worker.stream);
    } else {
      enqueue_planes(direction, copy, planes_of_stream(copy.shape, i, streams), worker.stream);
    }
    require(cudaEventRecord(worker.done, worker.stream), "event");
    require(cudaStreamWaitEvent(stream, worker.done, 0), "wait");
  }
}

void CopyPath::enqueue_stretches(CopyDirection direction, const Stretch* first, std::size_t count,
                                 cudaStream_t stream) {
  if (method_ == CopyMethod::kBatch) {
    copy_batch(direction, first, count, stream);
  } else {
    copy_each(direction, first, count, stream);
  }
}

void CopyPath::enqueue_planes(CopyDirection direction, const KvCopy& copy, PlaneRange planes,
                              cudaStream_t stream) {
  if (planes.count == 0) return;
  const KvSpan span{copy.device_table, copy.span.first_token, copy.span.tokens};
  const bool to_host = direction == CopyDirection::kToHost;
  const bool staged = method_ == CopyMethod::kGatherCopy;
  const std::int64_t plane_bytes = span.tokens * copy.shape.row_bytes;
  const std::int64_t first = planes.first * plane_bytes;
  const auto bytes = static_cast<std::size_t>(planes.count * plane_bytes);
  std::byte* near = staged ? copy.staging : copy.chunk;
  if (!to_host && staged) {
    require(cudaMemcpyAsync(copy.staging + first, copy.chunk + first, bytes, cudaMemcpyHostToDevice,
                            stream),
            "copy of a chunk");
  }
  if (to_host) {
    gather_device(copy.shape, copy.cache, span, planes, near, stream);
  } else {
    scatter_device(copy.shape, copy.cache, span, planes, near, stream);
  }
  if (to_host && staged) {
    require(cudaMemcpyAsync(copy.chunk + first, copy.staging + first, bytes, cudaMemcpyDeviceToHost,
                            stream),
            "copy of a chunk");
  }
}

}  // namespace kvsim::kernels
