// Step time from datasheet peaks: each operator takes the larger of its operations and its bytes,
// operators add up. A lower bound, for comparison: real decode steps take about a third longer,
// real prefill more (calibration of the fitted form). Leaves out launches, gaps and sampling.
#include <algorithm>

#include "sim/perf/rank_shape.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

class RooflineStepTime final : public StepTime {
 public:
  using Options = NoOptions;

  RooflineStepTime(const Options&, const Context& context)
      : context_(context), rank_(rank_shape(context.llm, context.tensor_parallel)) {
    const GpuPeaks& peaks = context_.gpu.peaks;
    const LlmProfile& llm = context_.llm;
    const std::string dtype =
        context_.weight_dtype.empty() ? llm.weight_dtype : context_.weight_dtype;
    weight_bytes_ = dtype == "fp8" ? 1 : 2;
    expert_bytes_ = dtype == "mxfp4-experts" ? element_bytes("mxfp4") : weight_bytes_;
    rate_ = dtype == "fp8" && peaks.fp8_flops_per_s > 0 ? peaks.fp8_flops_per_s
                                                        : peaks.bf16_flops_per_s;
    memory_ = peaks.memory.count();
    const std::string& kv = context_.kv_dtype.empty() ? llm.kv_dtype : context_.kv_dtype;
    kv_layer_bytes_ =
        llm.kv_bytes_per_token_per_rank(kv, context_.tensor_parallel).real() / real(llm.layers);
    const double score =
        llm.latent ? real(llm.latent->nope_dim + llm.latent->rope_dim) : real(llm.head_dim);
    const double value = llm.latent ? real(llm.latent->value_dim) : real(llm.head_dim);
    pair_flops_ = 2 * (score + value) * real(rank_.heads);
    window_layers_ = llm.window ? llm.window->layer_fraction * real(llm.layers) : 0;
  }

  [[nodiscard]] Seconds gpu(const StepShape& shape) const override {
    const double tokens = real(shape.prefill_tokens + shape.decode_sequences);
    double seconds = layers(rank_.attention, tokens) * real(context_.llm.layers) +
                     layers(rank_.dense, tokens) * real(rank_.dense_layers) +
                     (layers(rank_.mixture, tokens) + experts(tokens)) * real(rank_.mixture_layers);
    seconds += linear(rank_.head, shape.sampled);
    seconds +=
        (real(context_.llm.layers) - window_layers_) *
        attention(shape.prefill_pairs, real(shape.prefill_context), real(shape.decode_context));
    seconds += window_layers_ *
               attention(shape.prefill_window_pairs, 0, real(shape.decode_window_context));
    return Seconds(seconds);
  }
  [[nodiscard]] Seconds cpu(const StepShape& shape) const override {
    return step_cpu(context_, shape);
  }
  [[nodiscard]] std::int64_t window() const override {
    return context_.llm.window ? context_.llm.window->tokens : 0;
  }

 private:
  [[nodiscard]] double linear(const Linear& l, double tokens) const {
    const double weight = l.quantised ? weight_bytes_ : 2;
    const double rate = l.quantised ? rate_ : context_.gpu.peaks.bf16_flops_per_s;
    return tokens == 0
               ? 0
               : std::max(2 * tokens * l.elements() / rate, l.elements() * weight / memory_);
  }
  [[nodiscard]] double layers(const std::vector<Linear>& linears, double tokens) const {
    double seconds = 0;
    for (const Linear& l : linears) seconds += linear(l, tokens);
    return seconds;
  }
  // Only the experts that a token certainly uses: a bound.
  [[nodiscard]] double experts(double tokens) const {
    if (!context_.llm.mixture || tokens == 0) return 0;
    const double used = real(context_.llm.mixture->experts_per_token);
    return std::max(2 * tokens * used * rank_.expert_elements / rate_,
                    used * rank_.expert_elements * expert_bytes_ / memory_);
  }
  [[nodiscard]] double attention(double pairs, double context, double decode_context) const {
    const double prefill = std::max(pairs * pair_flops_ / context_.gpu.peaks.bf16_flops_per_s,
                                    context * kv_layer_bytes_ / memory_);
    return prefill + decode_context * kv_layer_bytes_ / memory_;
  }

  Context context_;
  RankShape rank_;
  double weight_bytes_ = 2;
  double expert_bytes_ = 2;
  double rate_ = 1;
  double memory_ = 1;
  double kv_layer_bytes_ = 0;
  double pair_flops_ = 0;
  double window_layers_ = 0;
};

const Register<StepTime, RooflineStepTime> kRegistered("roofline", "Datasheet peaks: a bound.");

}  // namespace

}  // namespace kvsim
