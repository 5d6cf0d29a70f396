// Decode: a thread block takes one KV head of one sequence and one part of its tokens. Its four
// warps walk that part in turns, each with tiles and an online softmax of its own, two tiles in
// flight; their sums are merged in shared memory, those of the parts by a second kernel.
#include <stdexcept>

#include "kernels/attention_tile.cuh"

namespace kvsim::kernels {
namespace {

constexpr int kTokens = 16;
constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpThreads;
constexpr int kStages = 2;
constexpr unsigned kMergeThreads = 64;

struct DecodePlan {
  AttentionShape shape;
  PagedSequences sequences;
  Divider block_tokens;
  int splits;
  const Bf16* queries;
  float* workspace;  // [sequence][head][split][head_dim sums, largest, sum]
};

// Shared memory: K and V tiles of each warp and stage, then scores, weights, queries, row sums.
template <int kHeadDim>
struct DecodeShared {
  using Sizes = TileSizes<kHeadDim, kTokens>;
  static constexpr int kWarpTileBytes = kStages * 2 * Sizes::kTileBytes;
  static constexpr int kScores = kWarps * kWarpTileBytes;
  static constexpr int kWeights = kScores + kWarps * Sizes::kScoreBytes;
  static constexpr int kQueries = kWeights + kWarps * Sizes::kWeightBytes;
  static constexpr int kStats = kQueries + kRows * Sizes::kStride * 2;
  static constexpr int kBytes = kStats + kWarps * kRows * 2 * 4;
  // The sums of a warp replace its tiles at the end.
  static_assert(Sizes::kOutBytes <= kWarpTileBytes);
};

// Rows beyond the group are zeros.
template <int kHeadDim>
__device__ void load_queries(const Bf16* queries, int rows, Bf16* to) {
  constexpr int kRowWords = kHeadDim / kWordNumbers;
  for (int word = static_cast<int>(threadIdx.x); word < kRows * kRowWords; word += kThreads) {
    const int row = word / kRowWords;
    const int column = word % kRowWords * kWordNumbers;
    auto* target =
        reinterpret_cast<uint4*>(to + row * TileSizes<kHeadDim, kTokens>::kStride + column);
    const auto* source = reinterpret_cast<const uint4*>(queries + row * kHeadDim + column);
    *target = row < rows ? *source : uint4{0, 0, 0, 0};
  }
}

// The warp's share of tiles [first, end): every kWarps-th.
template <int kHeadDim>
__device__ void walk(const KvSource& source, WarpTile<kHeadDim, kTokens>& tile, int first, int end,
                     int length, std::byte* buffers, int lane) {
  constexpr int kTileBytes = TileSizes<kHeadDim, kTokens>::kTileBytes;
  const auto buffer = [&](int index, int part) {
    return reinterpret_cast<Bf16*>(buffers + (index % kStages * 2 + part) * kTileBytes);
  };
  const auto load = [&](int index) {
    const int at = first + index * kWarps;
    if (at < end) {
      load_tile<kHeadDim, kTokens>(source, at * kTokens, length, buffer(index, 0), buffer(index, 1),
                                   lane, kWarpThreads);
    }
    __pipeline_commit();  // an empty group keeps the count in step
  };
  load(0);
  for (int index = 0; first + index * kWarps < end; ++index) {
    load(index + 1);
    __pipeline_wait_prior(1);
    __syncwarp();
    tile.add(buffer(index, 0), buffer(index, 1), (first + index * kWarps) * kTokens, length);
  }
  __pipeline_wait_prior(0);
  __syncwarp();
}

// The warps' sums of a row as one, into the workspace.
template <int kHeadDim>
__device__ void merge_warps(const std::byte* tiles, const float* stats, int rows, int splits,
                            float* workspace) {
  using Shared = DecodeShared<kHeadDim>;
  for (int i = static_cast<int>(threadIdx.x); i < rows * kHeadDim; i += kThreads) {
    const int row = i / kHeadDim;
    float largest = stats[row * 2];
    for (int w = 1; w < kWarps; ++w) {
      const float other = stats[(w * kRows + row) * 2];
      largest = other > largest ? other : largest;
    }
    float total = 0;
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) {
      const auto* sums = reinterpret_cast<const float*>(tiles + w * Shared::kWarpTileBytes);
      const float factor = exp2f(stats[(w * kRows + row) * 2] - largest);
      total += factor * sums[row * Shared::Sizes::kOutStride + i % kHeadDim];
      sum += factor * stats[(w * kRows + row) * 2 + 1];
    }
    float* out = workspace + static_cast<std::int64_t>(row) * splits * (kHeadDim + 2);
    out[i % kHeadDim] = total;
    if (i % kHeadDim == 0) {
      out[kHeadDim] = largest;
      out[kHeadDim + 1] = sum;
    }
  }
}

// Grid: x = sequence, y = KV head and group of 16 of its query heads, z = split.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) decode_part(DecodePlan plan) {
  using Shared = DecodeShared<kHeadDim>;
  std::byte* shared = emulated::shared_memory();
  const AttentionShape& shape = plan.shape;
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int sequence = static_cast<int>(blockIdx.x);
  const int kv_head = static_cast<int>(blockIdx.y) % shape.kv_heads;
  const int first_row = static_cast<int>(blockIdx.y) / shape.kv_heads * kRows;
  const int left = shape.group() - first_row;
  const int rows = left < kRows ? left : kRows;
  const std::int64_t head =
      static_cast<std::int64_t>(sequence) * shape.heads + kv_head * shape.group() + first_row;

  auto* queries = reinterpret_cast<Bf16*>(shared + Shared::kQueries);
  load_queries<kHeadDim>(plan.queries + head * kHeadDim, rows, queries);
  __syncthreads();
  WarpTile<kHeadDim, kTokens> tile(
      queries,
      reinterpret_cast<float*>(shared + Shared::kScores + warp * Shared::Sizes::kScoreBytes),
      reinterpret_cast<Bf16*>(shared + Shared::kWeights + warp * Shared::Sizes::kWeightBytes), lane,
      shape.scale);

  const int length = plan.sequences.kv_lengths[sequence];
  const int tiles = (length + kTokens - 1) / kTokens;
  const int per_split = (tiles + plan.splits - 1) / plan.splits;
  const int first = static_cast<int>(blockIdx.z) * per_split;
  const int end = first + per_split < tiles ? first + per_split : tiles;
  const KvSource source = kv_source(shape, plan.sequences, plan.block_tokens, sequence, kv_head);
  std::byte* buffers = shared + warp * Shared::kWarpTileBytes;
  walk<kHeadDim>(source, tile, first + warp, end, length, buffers, lane);

  tile.store(reinterpret_cast<float*>(buffers));
  auto* stats = reinterpret_cast<float*>(shared + Shared::kStats);
  if (lane % 2 == 0) {
    stats[(warp * kRows + tile.row()) * 2] = tile.largest();
    stats[(warp * kRows + tile.row()) * 2 + 1] = tile.sum();
  }
  __syncthreads();
  merge_warps<kHeadDim>(shared, stats, rows, plan.splits,
                        plan.workspace + (head * plan.splits + blockIdx.z) * (kHeadDim + 2));
}

// Grid: x = sequence and head. The parts of a row as one, divided by the sum of weights.
template <int kHeadDim>
__global__ void __launch_bounds__(kMergeThreads)
    merge_parts(const float* workspace, int splits, Bf16* out) {
  const std::int64_t row = blockIdx.x;
  const float* parts = workspace + row * splits * (kHeadDim + 2);
  float largest = parts[kHeadDim];
  for (int s = 1; s < splits; ++s) {
    const float other = parts[s * (kHeadDim + 2) + kHeadDim];
    largest = other > largest ? other : largest;
  }
  for (int d = static_cast<int>(threadIdx.x); d < kHeadDim; d += static_cast<int>(kMergeThreads)) {
    float total = 0;
    float sum = 0;
    for (int s = 0; s < splits; ++s) {
      const float* part = parts + s * (kHeadDim + 2);
      const float factor = exp2f(part[kHeadDim] - largest);
      total += factor * part[d];
      sum += factor * part[kHeadDim + 1];
    }
    out[row * kHeadDim + d] = to_bf16(sum > 0 ? total / sum : 0.0F);
  }
}

template <int kHeadDim>
void run(const DecodePlan& plan, Bf16* out, cudaStream_t stream) {
  const AttentionShape& shape = plan.shape;
  const int row_tiles = (shape.group() + kRows - 1) / kRows;
  const auto sequences = static_cast<unsigned>(plan.sequences.sequences);
  const dim3 grid(sequences, static_cast<unsigned>(shape.kv_heads * row_tiles),
                  static_cast<unsigned>(plan.splits));
  launch(Launch{grid, dim3(kThreads), stream, DecodeShared<kHeadDim>::kBytes},
         &decode_part<kHeadDim>, plan);
  launch(Launch{dim3(sequences * static_cast<unsigned>(shape.heads)), dim3(kMergeThreads), stream},
         &merge_parts<kHeadDim>, static_cast<const float*>(plan.workspace), plan.splits, out);
}

}  // namespace

void decode_attention_device(const AttentionShape& shape, const PagedSequences& sequences,
                             int splits, const Bf16* queries, float* workspace, Bf16* out,
                             cudaStream_t stream) {
  check_attention(shape, sequences, 1);
  if (splits < 1) throw std::invalid_argument("splits must be at least 1");
  const DecodePlan plan{shape,  sequences, Divider(static_cast<std::uint32_t>(shape.block_tokens)),
                        splits, queries,   workspace};
  if (shape.head_dim == 64) return run<64>(plan, out, stream);
  if (shape.head_dim == 128) return run<128>(plan, out, stream);
  throw std::invalid_argument("head_dim must be 64 or 128");
}

}  // namespace kvsim::kernels
