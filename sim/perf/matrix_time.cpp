// t(m, n, k) = t0 + [(2 * 64 ceil(m/64) n k / (eC P))^p + (bytes / (eW W))^p]^(1/p)
// bytes = (m k + n k) element sizes + 2 m n; with fp8 units another 5 m k bytes quantise the
// activations. Experts: the same form over the distinct experts touched,
// E (1 - (1 - k/E)^tokens), lowered by the profile's routing skew. All-reduce: latency + bytes /
// rate, two a layer and one for the embedding. Form and coefficients: the GPU profile.
// Leaves out expert parallelism, pipeline parallelism and launches of steps without a CUDA graph.
#include "sim/perf/matrix_time.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

namespace {

constexpr double kActivationBytes = 2;
constexpr double kRowPadding = 64;
constexpr double kQuantiseBytes = 5;

double real(std::int64_t n) { return static_cast<double>(n); }

// Smooth maximum of two times.
double combine(double a, double b, double exponent) {
  if (exponent == 1) return a + b;
  const double larger = std::max(a, b);
  if (larger == 0) return 0;
  return larger * std::pow(1 + std::pow(std::min(a, b) / larger, exponent), 1 / exponent);
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
  if (context.tensor_parallel > 1) all_reduce_ = context.gpu.all_reduce_of(context.tensor_parallel);
}

double MatrixTime::linear_seconds(const Linear& linear, double tokens) const {
  const GpuPeaks& peaks = context_.gpu.peaks;
  const bool fp8 = linear.quantised && fp8_units_;
  const GemmFit& fit = fp8 ? *context_.gpu.gemm_fp8 : context_.gpu.gemm_bf16;
  const double peak = fp8 ? peaks.fp8_flops_per_s : peaks.bf16_flops_per_s;
  const double memory = peaks.memory.count();
  const double weight = linear.quantised ? weight_bytes_ : 2;
  const double activation = fp8 ? 1 : kActivationBytes;
  const double rows = kRowPadding * std::ceil(tokens / kRowPadding);
  const double compute = 2 * rows * linear.elements() / (fit.compute * peak);
  const double bytes = tokens * real(linear.in) * activation + linear.elements() * weight +
                       kActivationBytes * tokens * real(linear.out);
  const double quantise = fp8 && fit.quantise > 0
                              ? kQuantiseBytes * tokens * real(linear.in) / (fit.quantise * memory)
                              : 0;
  return fit.launch.count() + quantise +
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
  return all_reduce_.latency.count() + bytes / all_reduce_.rate.count();
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
