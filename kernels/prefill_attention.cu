// Prefill: a thread block takes 64 queries of one KV head of one sequence (tokens of the chunk
// times query heads of the group, so that the group shares keys and values), 16 for each warp, and
// walks the keys and values that the last of them sees; the next tile loads while one is used.
#include <stdexcept>

#include "kernels/attention_tile.cuh"

namespace kvsim::kernels {
namespace {

constexpr int kTokens = 32;
constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpThreads;
constexpr int kBlockRows = kWarps * kRows;
constexpr int kStages = 2;

struct PrefillPlan {
  AttentionShape shape;
  PagedSequences sequences;
  Divider block_tokens;
  int chunk;
  const Bf16* queries;
  Bf16* out;
};

// Shared memory: K and V tiles of each stage, then scores, weights, queries.
template <int kHeadDim>
struct PrefillShared {
  using Sizes = TileSizes<kHeadDim, kTokens>;
  static constexpr int kScores = kStages * 2 * Sizes::kTileBytes;
  static constexpr int kWeights = kScores + kWarps * Sizes::kScoreBytes;
  static constexpr int kQueries = kWeights + kWarps * Sizes::kWeightBytes;
  static constexpr int kBytes = kQueries + kBlockRows * Sizes::kStride * 2;
  // The sums replace the tiles at the end.
  static_assert(kWarps * Sizes::kOutBytes <= kScores);
};

// Of which token of the chunk and which head a row of the block is.
struct Row {
  int token;
  int head;
};

__device__ Row row_of(const AttentionShape& shape, int first_row, int row) {
  const int group = shape.group();
  return {(first_row + row) / group,
          static_cast<int>(blockIdx.y) * group + (first_row + row) % group};
}

// Where a row's query and result are.
__device__ std::int64_t row_offset(const PrefillPlan& plan, Row row) {
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.z) * plan.chunk + row.token;
  return (token * plan.shape.heads + row.head) * plan.shape.head_dim;
}

// Calls use(row of the block, column, offset or -1 beyond the chunk) for each 16-byte word.
template <int kHeadDim, class Use>
__device__ void for_each_word(const PrefillPlan& plan, int first_row, Use use) {
  constexpr int kRowWords = kHeadDim / kWordNumbers;
  for (int word = static_cast<int>(threadIdx.x); word < kBlockRows * kRowWords; word += kThreads) {
    const int column = word % kRowWords * kWordNumbers;
    const Row row = row_of(plan.shape, first_row, word / kRowWords);
    use(word / kRowWords, column, row.token < plan.chunk ? row_offset(plan, row) + column : -1);
  }
}

template <int kHeadDim>
__device__ void walk(const KvSource& source, WarpTile<kHeadDim, kTokens>& tile, int end, int limit,
                     std::byte* buffers) {
  constexpr int kTileBytes = TileSizes<kHeadDim, kTokens>::kTileBytes;
  const auto buffer = [&](int index, int part) {
    return reinterpret_cast<Bf16*>(buffers + (index % kStages * 2 + part) * kTileBytes);
  };
  const auto load = [&](int index) {
    if (index * kTokens < end) {
      load_tile<kHeadDim, kTokens>(source, index * kTokens, end, buffer(index, 0), buffer(index, 1),
                                   static_cast<int>(threadIdx.x), kThreads);
    }
    __pipeline_commit();  // an empty group keeps the count in step
  };
  load(0);
  for (int index = 0; index * kTokens < end; ++index) {
    load(index + 1);
    __pipeline_wait_prior(1);
    __syncthreads();
    tile.add(buffer(index, 0), buffer(index, 1), index * kTokens, limit);
    __syncthreads();  // before the next but one tile lands here
  }
  __pipeline_wait_prior(0);
}

// Grid: x = 64 rows of the chunk, long ones first, y = KV head, z = sequence.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) prefill_rows(PrefillPlan plan) {
  using Shared = PrefillShared<kHeadDim>;
  std::byte* shared = emulated::shared_memory();
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kBlockRows;
  const int context = plan.sequences.kv_lengths[blockIdx.z] - plan.chunk;

  auto* queries = reinterpret_cast<Bf16*>(shared + Shared::kQueries);
  for_each_word<kHeadDim>(plan, first_row, [&](int row, int column, std::int64_t at) {
    auto* target = reinterpret_cast<uint4*>(queries + row * Shared::Sizes::kStride + column);
    *target = at >= 0 ? *reinterpret_cast<const uint4*>(plan.queries + at) : uint4{0, 0, 0, 0};
  });
  __syncthreads();
  WarpTile<kHeadDim, kTokens> tile(
      queries + warp * kRows * Shared::Sizes::kStride,
      reinterpret_cast<float*>(shared + Shared::kScores + warp * Shared::Sizes::kScoreBytes),
      reinterpret_cast<Bf16*>(shared + Shared::kWeights + warp * Shared::Sizes::kWeightBytes), lane,
      plan.shape.scale);

  const int last = row_of(plan.shape, first_row, kBlockRows - 1).token;
  const int end = context + (last < plan.chunk ? last + 1 : plan.chunk);
  const int limit = context + row_of(plan.shape, first_row, warp * kRows + tile.row()).token + 1;
  const KvSource source = kv_source(plan.shape, plan.sequences, plan.block_tokens,
                                    static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  walk<kHeadDim>(source, tile, end, limit < end ? limit : end, shared);

  auto* sums = reinterpret_cast<float*>(shared);
  tile.store(sums + warp * kRows * Shared::Sizes::kOutStride);
  auto* totals = reinterpret_cast<float*>(shared + Shared::kScores);
  if (lane % 2 == 0) totals[warp * kRows + tile.row()] = tile.sum();
  __syncthreads();
  for_each_word<kHeadDim>(plan, first_row, [&](int row, int column, std::int64_t at) {
    if (at < 0) return;
    for (int i = 0; i < kWordNumbers; ++i) {
      plan.out[at + i] = to_bf16(sums[row * Shared::Sizes::kOutStride + column + i] / totals[row]);
    }
  });
}

template <int kHeadDim>
void run(const PrefillPlan& plan, cudaStream_t stream) {
  const std::int64_t rows = static_cast<std::int64_t>(plan.chunk) * plan.shape.group();
  const dim3 grid(static_cast<unsigned>((rows + kBlockRows - 1) / kBlockRows),
                  static_cast<unsigned>(plan.shape.kv_heads),
                  static_cast<unsigned>(plan.sequences.sequences));
  launch(Launch{grid, dim3(kThreads), stream, PrefillShared<kHeadDim>::kBytes},
         &prefill_rows<kHeadDim>, plan);
}

}  // namespace

void prefill_attention_device(const AttentionShape& shape, const PagedSequences& sequences,
                              int chunk, const Bf16* queries, Bf16* out, cudaStream_t stream) {
  check_attention(shape, sequences, chunk);
  const PrefillPlan plan{shape, sequences, Divider(static_cast<std::uint32_t>(shape.block_tokens)),
                         chunk, queries,   out};
  if (shape.head_dim == 64) return run<64>(plan, stream);
  if (shape.head_dim == 128) return run<128>(plan, stream);
  throw std::invalid_argument("head_dim must be 64 or 128");
}

}  // namespace kvsim::kernels
