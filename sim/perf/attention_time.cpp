// decode:  max(floor, t0d + KV bytes / (eD W)); latent vectors in absorbed form may be bound by
//          2 heads (2 rank + rope) operations per KV token instead, at a share of the peak;
// prefill: t0c + max(pairs' operations / (eA P), cached KV bytes / (eD W)) + activations / (eT W);
// mixed:   prefill + decode, times a factor of the profile where kernels pack the heads of a group
//          (FlashAttention 3). FlashAttention 2 packs them only when no query has more than one
//          token (mha_varlen_fwd, seqlenq_ngroups_swapped). Otherwise each head of each sequence is
//          a block of threads that walks the whole context with a tile of 64 rows, of which one is
//          needed, alone on its multiprocessor (80 KB of shared memory; two fit on compute
//          capability 8.0), and there is an empty block for each further tile of the longest query:
//            max(blocks (t_block + empty t_empty + 64 rows' operations / (eA P)) / blocks at once,
//                decode (1 + (heads of a group - 1) min(1, sequences / blocks at once)))
//          The latter because blocks start head by head: a group's heads read a context together,
//          unless a wave of blocks lies between them; then the second-level cache has it if it
//          holds all sequences' contexts of a KV head. Mean error on mixed batches of an RTX 4090
//          and an RTX PRO 6000 (calibration tables): 14 and 17 %; with a factor of 1.8 on decodes
//          25 and 30 %. t_block and t_empty are fitted to these.
// Sequences that share a prefix read its blocks at about the same time, each in a thread block of
// its own that starts at the prefix's start: the first read comes from memory, the others from the
// second-level cache, in `repeated_read` of the time.
// W and P are datasheet peaks, e* and t0* the GPU profile's. The cached-KV term is the operator's
// memory side; the fits know only empty caches, which it leaves unchanged. Latent prefill works on
// expanded keys and values and expands cached vectors again.
// Leaves out: imbalance between sequences of one kernel, and cache residency of short contexts.
#include "sim/perf/attention_time.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

namespace {

constexpr double kTileRows = 64;
constexpr double kBlockSeconds = 4e-6;
constexpr double kEmptyBlockSeconds = 3.7e-7;

double real(std::int64_t n) { return static_cast<double>(n); }

}  // namespace

AttentionTime::AttentionTime(const StepTime::Context& context, const RankShape& rank,
                             std::optional<double> mixed_factor) {
  const LlmProfile& llm = context.llm;
  const GpuPeaks& peaks = context.gpu.peaks;
  const std::string& kv_dtype = context.kv_dtype.empty() ? llm.kv_dtype : context.kv_dtype;
  const bool fp8 = kv_dtype == "fp8" && context.gpu.attention_fp8.has_value();
  const AttentionFit& fit = fp8 ? *context.gpu.attention_fp8 : context.gpu.attention_bf16;
  const double memory = peaks.memory.count();
  const double heads = real(rank.heads);
  const double compute = fit.prefill_compute * peaks.bf16_flops_per_s;

  window_layers_ = llm.window ? llm.window->layer_fraction * real(llm.layers) : 0;
  window_tokens_ = llm.window ? real(llm.window->tokens) : 0;
  full_layers_ = real(llm.layers) - window_layers_;
  decode_floor_ = fit.decode_floor.count();
  decode_launch_ = fit.decode_launch.count();
  prefill_launch_ = fit.prefill_launch.count();
  const double kv_bytes =
      llm.kv_bytes_per_token_per_rank(kv_dtype, context.tensor_parallel).real() / real(llm.layers);
  repeated_read_ = fit.repeated_read;
  mixed_factor_ = mixed_factor ? mixed_factor : fit.mixed_factor;
  context_read_ = kv_bytes / (fit.decode_memory * memory);
  decode_token_ = context_read_;
  if (llm.latent) {
    // Its kernels take prompts and decodes apart.
    if (!mixed_factor_) mixed_factor_ = 1;
    const LatentShape& latent = *llm.latent;
    const double absorbed = 2 * heads * real(2 * latent.kv_rank + latent.rope_dim);
    decode_token_ =
        std::max(decode_token_, absorbed / (fit.latent_compute * peaks.bf16_flops_per_s));
    const double key = real(latent.nope_dim + latent.rope_dim);
    const double value = real(latent.value_dim);
    prefill_pair_ = 2 * heads * (key + value) / compute;
    prefill_token_ = 2 * heads * (2 * key + 2 * value) / (fit.prefill_transfer * memory);
    context_expand_ = 2 * real(latent.kv_rank) * heads * (real(latent.nope_dim) + value) /
                      (context.gpu.gemm_bf16.compute * peaks.bf16_flops_per_s);
  } else {
    const double dim = real(llm.head_dim);
    heads_ = heads;
    group_ = heads / real(rank.kv_heads);
    blocks_at_once_ = real(peaks.multiprocessors) * (peaks.compute_capability == 8.0 ? 2 : 1);
    head_bytes_ = kv_bytes / real(rank.kv_heads);
    second_level_ = peaks.l2.real();
    tile_token_ = kTileRows * 4 * dim / (compute / blocks_at_once_);
    prefill_pair_ = 4 * heads * dim / compute;
    prefill_token_ =
        2 * (2 * heads + 4 * real(rank.kv_heads)) * dim / (fit.prefill_transfer * memory);
  }
}

double AttentionTime::layer_seconds(const StepShape& shape, const Load& load) const {
  double seconds = 0;
  if (shape.decode_sequences > 0)
    seconds = std::max(decode_floor_, decode_launch_ + load.decode_context * decode_token_);
  if (shape.prefill_tokens == 0) return seconds;
  const double prefill = prefill_launch_ + real(shape.prefill_tokens) * prefill_token_ +
                         std::max(load.pairs * prefill_pair_, load.context * context_read_) +
                         load.context * context_expand_;
  return prefill + (seconds > 0 ? mixed_seconds(shape, load, seconds) : 0);
}

double AttentionTime::mixed_seconds(const StepShape& shape, const Load& load, double alone) const {
  if (mixed_factor_) return *mixed_factor_ * alone;
  const double blocks = shape.decode_sequences * heads_;
  const double empty =
      std::ceil(real(shape.prefill_tokens) / (kTileRows * shape.prefill_sequences));
  const double computing = blocks * (kBlockSeconds + empty * kEmptyBlockSeconds) +
                           load.decode_context * heads_ * tile_token_;
  const bool evicted = load.decode_context * head_bytes_ > second_level_;
  const double apart = evicted ? std::min(1.0, shape.decode_sequences / blocks_at_once_) : 0;
  return std::max(computing / blocks_at_once_, alone * (1 + (group_ - 1) * apart));
}

double AttentionTime::decode_reads(const StepShape& shape) const {
  const std::int64_t repeated = std::min(shape.repeated_context, shape.decode_context);
  return real(shape.decode_context) - (1 - repeated_read_) * real(repeated);
}

double AttentionTime::seconds(const StepShape& shape) const {
  double seconds =
      full_layers_ *
      layer_seconds(shape, {shape.prefill_pairs, real(shape.prefill_context), decode_reads(shape)});
  if (window_layers_ > 0) {
    const double context =
        std::min(real(shape.prefill_context), window_tokens_ * shape.prefill_sequences);
    seconds += window_layers_ * layer_seconds(shape, {shape.prefill_window_pairs, context,
                                                      real(shape.decode_window_context)});
  }
  return seconds;
}

}  // namespace kvsim
