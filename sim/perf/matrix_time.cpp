// t(m, n, k) = t0 + [(2 rows n k / (eC P))^p + (bytes / (eW W))^p]^(1/p)
// bytes = (m k + n k) element sizes + 2 m n; rows = m padded to a tile of 64, of 16 with fp8 units.
//
// fp8 units: another 5 m k bytes and a launch quantise the activations, of which the engine's share
// remains (a compiler fuses the pass into the norm or activation before it). Kernels want m to be a
// multiple of 4 (vllm-project/vllm#30717; the operator tables show it at 65, 129 ... 2,049 rows).
// Captured batches are; beyond them three numbers in four are not, so unless m is a multiple of 64
// (a full budget) 3/4 of the profile's `unaligned_rows` are computed as well.
//
// Experts: the same form over the distinct experts touched, E (1 - (1 - k/E)^tokens), lowered by
// the profile's routing skew.
//
// All-reduce: two a layer and one for the embedding; form and coefficients are the GPU profile's.
// It begins with the last rank: arrivals differ by the engine's rank_skew_s, and the last of g
// ranks is so many standard deviations late as the largest of g normal numbers is large on average.
// Tables of single operators do not show this: their ranks do nothing in between.
//
// Leaves out expert parallelism, pipeline parallelism and launches of steps without a CUDA graph.
#include "sim/perf/matrix_time.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

namespace {

constexpr double kActivationBytes = 2;
constexpr double kRowPadding = 64;
constexpr double kRowPaddingFp8 = 16;
constexpr double kUnalignedShare = 0.75;
constexpr double kQuantiseBytes = 5;

double real(std::int64_t n) { return static_cast<double>(n); }

// Smooth maximum of two times.
double combine(double a, double b, double exponent) {
  if (exponent == 1) return a + b;
  const double larger = std::max(a, b);
  if (larger == 0) return 0;
  return larger * std::pow(1 + std::pow(std::min(a, b) / larger, exponent), 1 / exponent);
}

// Mean of the largest of `ranks` standard normal numbers (Blom's approximation: 2, 4, 8 ranks give
// 0.59, 1.05, 1.43; exact are 0.56, 1.03, 1.42).
double largest_normal(std::int64_t ranks) {
  const double below = (real(ranks) - 0.375) / (real(ranks) + 0.25);
  double low = 0, high = 8;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < below ? low : high) = middle;
  }
  return low;
}

}  // namespace

MatrixTime::MatrixTime(const StepTime::Context& context, const RankShape& rank)
    : context_(context), rank_(rank) {
  const std::string& dtype =
      context.weight_dtype.empty() ? context.llm.weight_dtype : context.weight_dtype;
  const bool fp8 = dtype == "fp8";
  fp8_units_ = fp8 && context.gpu.gemm_fp8.has_value();
  weight_bytes_ = fp8 ? element_bytes("fp8") : element_bytes("bf16");
  expert_bytes_ = dtype == "mxfp4-experts" ? element_bytes("mxfp4") : weight_bytes_;
  if (!context.graph_sizes.empty()) largest_graph_ = real(context.graph_sizes.back());
  if (context.tensor_parallel == 1) return;
  all_reduce_ = context.gpu.all_reduce_of(context.tensor_parallel);
  last_rank_ = largest_normal(context.tensor_parallel) * context.overheads.rank_skew.count();
}

double MatrixTime::rows_computed(double tokens, const GemmFit& fit, bool fp8) const {
  const double tile = fp8 && tokens <= kRowPadding ? kRowPaddingFp8 : kRowPadding;
  const double rows = tile * std::ceil(tokens / tile);
  const bool unaligned = fp8 && tokens > std::max(largest_graph_, kRowPadding) && rows != tokens;
  return rows + (unaligned ? kUnalignedShare * fit.unaligned_rows : 0);
}

double MatrixTime::linear_seconds(const Linear& linear, double tokens) const {
  const GpuPeaks& peaks = context_.gpu.peaks;
  const bool fp8 = linear.quantised && fp8_units_;
  const GemmFit& fit = fp8 ? *context_.gpu.gemm_fp8 : context_.gpu.gemm_bf16;
  const double peak = fp8 ? peaks.fp8_flops_per_s : peaks.bf16_flops_per_s;
  const double memory = peaks.memory.count();
  const double weight = linear.quantised ? weight_bytes_ : 2;
  const double activation = fp8 ? 1 : kActivationBytes;
  const double compute =
      2 * rows_computed(tokens, fit, fp8) * linear.elements() / (fit.compute * peak);
  const double bytes = tokens * real(linear.in) * activation + linear.elements() * weight +
                       kActivationBytes * tokens * real(linear.out);
  const double quantise = fp8 && fit.quantise > 0
                              ? kQuantiseBytes * tokens * real(linear.in) / (fit.quantise * memory)
                              : 0;
  const double fused = (1 - context_.overheads.quantise_share) * fit.quantise_launch.count();
  return fit.launch.count() - (fp8 ? fused : 0) + context_.overheads.quantise_share * quantise +
         combine(compute, bytes / (fit.memory * memory), fit.exponent);
}

double MatrixTime::sum_seconds(const std::vector<Linear>& linears, double tokens) const {
  double seconds = 0;
  for (const Linear& linear : linears) seconds += linear_seconds(linear, tokens);
  return seconds;
}

double MatrixTime::experts_seconds(double tokens) const {
  const MixtureShape& shape = *context_.llm.mixture;
  const MixtureFit& fit = context_.gpu.mixture;
  const GpuPeaks& peaks = context_.gpu.peaks;
  const double experts = real(shape.experts);
  const double used = real(shape.experts_per_token);
  double distinct = experts * (1 - std::pow(1 - used / experts, tokens));
  const double share = distinct / experts;
  distinct = std::max(used, distinct * (1 - fit.routing_skew * 4 * share * (1 - share)));
  const double speedup = fp8_units_ ? fit.fp8_speedup : 1;
  const double compute =
      2 * tokens * used * rank_.expert_elements / (fit.compute * peaks.bf16_flops_per_s * speedup);
  const double weights =
      distinct * rank_.expert_elements * expert_bytes_ / (fit.memory * peaks.memory.count());
  return fit.launch.count() + combine(compute, weights, fit.exponent);
}

double MatrixTime::elementwise_seconds(double elements, double tokens) const {
  const ElementwiseFit& fit = context_.gpu.elementwise;
  return kActivationBytes * elements * tokens / (fit.memory * context_.gpu.peaks.memory.count()) +
         fit.kernels * fit.launch.count();
}

double MatrixTime::all_reduce_seconds(double bytes) const {
  if (context_.tensor_parallel == 1) return 0;
  return last_rank_ + all_reduce_.seconds(bytes);
}

double MatrixTime::layers_seconds(std::int64_t token_count) const {
  const double tokens = real(token_count);
  const double layers = real(context_.llm.layers);
  const double hidden_bytes = tokens * real(context_.llm.hidden) * kActivationBytes;
  double seconds = layers * sum_seconds(rank_.attention, tokens);
  seconds += real(rank_.dense_layers) * (sum_seconds(rank_.dense, tokens) +
                                         elementwise_seconds(rank_.elementwise_dense, tokens));
  if (rank_.mixture_layers > 0)
    seconds +=
        real(rank_.mixture_layers) * (sum_seconds(rank_.mixture, tokens) + experts_seconds(tokens) +
                                      elementwise_seconds(rank_.elementwise_mixture, tokens));
  const double embedding =
      2 * hidden_bytes / (context_.gpu.elementwise.memory * context_.gpu.peaks.memory.count());
  return seconds + embedding + (2 * layers + 1) * all_reduce_seconds(hidden_bytes);
}

double MatrixTime::head_seconds(std::int64_t rows) const {
  const double logits = real(rows) * real(rank_.head.out) * kActivationBytes;
  return linear_seconds(rank_.head, real(rows)) + all_reduce_seconds(logits);
}

}  // namespace kvsim
