// Step time as a sum over operators, each with coefficients fitted to measured kernels:
//
//   kernels = layers' products (MatrixTime) + attention (AttentionTime) + LM head + sampling
//   sampling = sampler + sampler_row * rows, and unless requests are greedy, where the model's
//              published settings ask for top-p or top-k: the engine's filter (FilterCost)
//   gpu     = kernels * (prefill_factor when the step holds prompt tokens) + gaps
//
// Batches up to the largest captured CUDA graph cost what the next captured size costs. Published
// error of this form against composed measured kernels: 5 % decode, 4 % prefill on the six fitted
// GPUs; gaps and factors come from the engine profile. Leaves out run-to-run noise.
#include <algorithm>
#include <optional>

#include "sim/base/check.hpp"
#include "sim/perf/attention_time.hpp"
#include "sim/perf/matrix_time.hpp"

namespace kvsim {

namespace {

// A function of a small whole number, computed once per argument. The value never depends on what
// was asked before. Not for concurrent use.
class Remembered {
 public:
  template <class Function>
  double get(std::int64_t n, const Function& compute) const {
    KV_CHECK(n >= 0, "argument {}", n);
    const auto index = static_cast<std::size_t>(n);
    if (index >= values_.size()) [[unlikely]] {
      constexpr std::size_t kLargest = std::size_t{1} << 20;
      if (index >= kLargest) return compute(n);
      values_.resize(std::max(index + 1, 2 * values_.size()), kUnknown);
    }
    double& value = values_[index];
    if (value < 0) [[unlikely]]
      value = compute(n);
    return value;
  }

 private:
  static constexpr double kUnknown = -1;
  mutable std::vector<double> values_;
};

class FittedStepTime final : public StepTime {
 public:
  struct Options {
    std::optional<double> mixed_attention_factor;
    bool greedy = false;

    template <class F>
    void fields(F& f) {
      f.optional("mixed_attention_factor", mixed_attention_factor, Range{1, 10},
                 "Decode attention in a batch that also prefills, over decode alone. Default: the "
                 "GPU's.");
      f.optional("greedy", greedy,
                 "Requests ask for temperature 0: nothing is filtered by top-p or top-k.");
    }
  };

  FittedStepTime(const Options& options, const Context& context)
      : context_(context),
        rank_(rank_shape(context.llm, context.tensor_parallel)),
        matrix_(context, rank_),
        attention_(context, rank_, options.mixed_attention_factor),
        filtered_(context.llm.sampling_filter && !options.greedy),
        layers_gap_(context.overheads.gap_step.count() +
                    context.overheads.gap_layer.count() * static_cast<double>(context.llm.layers)) {
    for (const std::int64_t size : context.graph_sizes)
      padded_.resize(static_cast<std::size_t>(size) + 1, size);
  }

  [[nodiscard]] Seconds gpu(const StepShape& shape) const override {
    const std::int64_t tokens = shape.prefill_tokens + shape.decode_sequences;
    if (tokens == 0) return Seconds(0);
    const std::int64_t rows = padded(tokens);
    double seconds = by_tokens_.get(rows, [&](std::int64_t n) {
      return matrix_.layers_seconds(n);
    }) + attention_.seconds(shape);
    if (shape.sampled > 0)
      seconds += by_sampled_.get(shape.sampled, [&](std::int64_t n) { return sampling(n); });
    if (shape.prefill_tokens > 0) seconds *= context_.overheads.prefill_factor;
    const double sequences = shape.prefill_sequences + shape.decode_sequences;
    return Seconds(seconds + layers_gap_ + context_.overheads.gap_sequence.count() * sequences);
  }
  [[nodiscard]] Seconds cpu(const StepShape& shape) const override {
    return step_cpu(context_, shape);
  }
  [[nodiscard]] std::int64_t window() const override {
    return context_.llm.window ? context_.llm.window->tokens : 0;
  }

 private:
  [[nodiscard]] std::int64_t padded(std::int64_t tokens) const {
    const auto index = static_cast<std::size_t>(tokens);
    return index < padded_.size() ? padded_[index] : tokens;
  }
  [[nodiscard]] double sampling(std::int64_t rows) const {
    const EngineOverheads& overheads = context_.overheads;
    const double filter = filtered_ ? filter_seconds(rows) : 0;
    return matrix_.head_seconds(rows) + overheads.sampler.count() +
           overheads.sampler_row.count() * static_cast<double>(rows) + filter;
  }
  [[nodiscard]] double filter_seconds(std::int64_t rows) const {
    const EngineOverheads& overheads = context_.overheads;
    const bool fused = overheads.fused_rows > 0 && rows >= overheads.fused_rows;
    const FilterCost& cost = fused ? overheads.filter_fused : overheads.filter_sort;
    const auto logits = static_cast<double>(rows * context_.llm.vocabulary);
    return cost.fixed.count() +
           logits * cost.logit.count() / static_cast<double>(context_.gpu.peaks.multiprocessors);
  }

  Context context_;
  RankShape rank_;
  MatrixTime matrix_;
  AttentionTime attention_;
  bool filtered_ = false;
  double layers_gap_ = 0;
  std::vector<std::int64_t> padded_;  // by number of tokens, up to the largest captured graph
  Remembered by_tokens_;
  Remembered by_sampled_;
};

const Register<StepTime, FittedStepTime> kRegistered("fitted",
                                                     "Operators fitted to measured kernels.");

}  // namespace

}  // namespace kvsim
