#include <stdexcept>

#include "kernels/paged_kv_device.hpp"

namespace kvsim::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kWordsPerThread = 4;  // read all, then write all: four loads in flight
constexpr unsigned kTileWords = kThreads * kWordsPerThread;

struct CopyPlan {
  KvShape shape;
  KvCache cache;
  KvSpan span;
  KvStrides strides;
  std::int64_t first_plane;
  std::byte* chunk;
  std::uint32_t plane_words;
  Divider row_words;
  Divider block_tokens;
};

// Where word `word` of a plane of the chunk lies in the cache.
template <class Word>
__device__ Word* cache_word(const CopyPlan& plan, std::int64_t plane, std::uint32_t word) {
  const std::uint32_t token = plan.row_words.quotient(word);
  const std::uint32_t in_row = word - token * plan.row_words.divisor;
  const std::uint32_t position = static_cast<std::uint32_t>(plan.span.first_token) + token;
  const std::uint32_t entry = plan.block_tokens.quotient(position);
  const std::uint32_t slot = position - entry * plan.block_tokens.divisor;
  std::byte* row = cache_row(plan.shape, plan.cache, plan.strides, plane / plan.shape.layers,
                             plane % plan.shape.layers, plan.span.block_table[entry], slot);
  return reinterpret_cast<Word*>(row) + in_row;
}

// One thread block copies one tile of words of one plane. Neighbouring threads touch neighbouring
// words on both sides.
template <class Word, bool kGather>
__global__ void __launch_bounds__(kThreads) copy_tile(CopyPlan plan) {
  const std::int64_t plane = plan.first_plane + blockIdx.y;
  const std::int64_t plane_words = plan.plane_words;
  Word* chunk = reinterpret_cast<Word*>(plan.chunk) + plane * plane_words;
  Word words[kWordsPerThread];
  const std::uint32_t first = blockIdx.x * kTileWords + threadIdx.x;
#pragma unroll
  for (unsigned i = 0; i < kWordsPerThread; ++i) {
    const std::uint32_t word = first + i * kThreads;
    if (word >= plan.plane_words) break;
    words[i] = kGather ? *cache_word<Word>(plan, plane, word) : chunk[word];
  }
#pragma unroll
  for (unsigned i = 0; i < kWordsPerThread; ++i) {
    const std::uint32_t word = first + i * kThreads;
    if (word >= plan.plane_words) break;
    *(kGather ? chunk + word : cache_word<Word>(plan, plane, word)) = words[i];
  }
}

template <class Word, bool kGather>
void launch_words(CopyPlan plan, PlaneRange planes, cudaStream_t stream) {
  const std::int64_t row_words = plan.shape.row_bytes / static_cast<std::int64_t>(sizeof(Word));
  const std::int64_t plane_words = row_words * plan.span.tokens;
  if (plane_words >= (std::int64_t{1} << 31) - kTileWords) {
    throw std::invalid_argument("a plane of the chunk must have fewer than 2^31 words");
  }
  plan.plane_words = static_cast<std::uint32_t>(plane_words);
  plan.row_words = Divider(static_cast<std::uint32_t>(row_words));
  const unsigned tiles = (plan.plane_words + kTileWords - 1) / kTileWords;
  // The grid's second dimension ends at 65535.
  constexpr std::int64_t kPlanesMax = 65535;
  for (std::int64_t done = 0; done < planes.count; done += kPlanesMax) {
    const std::int64_t left = planes.count - done;
    plan.first_plane = planes.first + done;
    const dim3 grid(tiles, static_cast<unsigned>(left < kPlanesMax ? left : kPlanesMax));
    launch(Launch{grid, dim3(kThreads), stream}, &copy_tile<Word, kGather>, plan);
  }
}

template <bool kGather>
void copy(const KvShape& shape, const KvCache& cache, const KvSpan& span, PlaneRange planes,
          std::byte* chunk, cudaStream_t stream) {
  check_copy(shape, cache, span);
  if (planes.first < 0 || planes.count <= 0 || planes.first + planes.count > shape.planes()) {
    throw std::invalid_argument("no such planes");
  }
  const CopyPlan plan{shape,
                      cache,
                      span,
                      strides_of(shape, cache.layout),
                      0,
                      chunk,
                      0,
                      Divider(),
                      Divider(static_cast<std::uint32_t>(shape.block_tokens))};
  if (shape.row_bytes % 16 == 0) return launch_words<uint4, kGather>(plan, planes, stream);
  if (shape.row_bytes % 8 == 0) return launch_words<uint2, kGather>(plan, planes, stream);
  if (shape.row_bytes % 4 == 0) return launch_words<std::uint32_t, kGather>(plan, planes, stream);
  if (shape.row_bytes % 2 == 0) return launch_words<std::uint16_t, kGather>(plan, planes, stream);
  launch_words<std::uint8_t, kGather>(plan, planes, stream);
}

}  // namespace

void gather_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                   PlaneRange planes, std::byte* chunk, cudaStream_t stream) {
  copy<true>(shape, cache, span, planes, chunk, stream);
}

// The const_cast only lets both directions share one kernel; the source is never written.
void scatter_device(const KvShape& shape, const KvCache& cache, const KvSpan& span,
                    PlaneRange planes, const std::byte* chunk, cudaStream_t stream) {
  copy<false>(shape, cache, span, planes, const_cast<std::byte*>(chunk), stream);
}

}  // namespace kvsim::kernels
