#include "sim/perf/memory_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/perf/engine_profile.hpp"
#include "sim/perf/rank_shape.hpp"
#include "sim/perf/step_time_pipeline.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kActivationBytes = 2;
constexpr std::int64_t kSamplingBytes = 2 + 4 + 4 + 8;  // logits, fp32 copy, sorted copy, indices
// ...and the sorted probabilities, their sums, the masked copy, its softmax, the random draw.
constexpr std::int64_t kLongSamplingBytes = kSamplingBytes + 18;
constexpr EngineVersion kLongSampling{0, 11};
constexpr Bytes kCollectivesOfTwo{342'000'000};
constexpr Bytes kCollectivesOfMore{392'000'000};
constexpr Bytes kOther{256 * kMiB};
constexpr Bytes kGraphOfLayer{kMiB / 4};

std::string gib(Bytes bytes) { return fmt::format("{:.2f} GiB", bytes.real() / (1024.0 * kMiB)); }

// Widest input and output that a layer's buffers hold for one token at the same time.
std::int64_t widest_layer_elements(const LlmProfile& llm, const RankShape& rank, std::int64_t tp) {
  std::int64_t widest = 0;
  for (const auto* linears : {&rank.attention, &rank.dense, &rank.mixture})
    for (const Linear& linear : *linears) widest = std::max(widest, linear.out + linear.in);
  if (llm.mixture) {
    // A routed token is copied once per expert it goes to.
    const std::int64_t ff = groups_of(llm.mixture->expert_ff, tp);
    widest = std::max(widest, llm.mixture->experts_per_token * (3 * ff + llm.hidden));
  }
  return widest;
}

Bytes activation_bytes(const LlmProfile& llm, const MemoryOptions& options,
                       const MemoryBudget& budget) {
  const std::int64_t tp = options.tensor_parallel;
  const bool longer = EngineVersion::parse(options.version) >= kLongSampling;
  const std::int64_t widest = widest_layer_elements(llm, rank_shape(llm, tp), tp);
  const std::int64_t states = 2 * llm.hidden * kActivationBytes * budget.max_num_batched_tokens;
  const std::int64_t forward = widest * kActivationBytes * budget.max_num_batched_tokens;
  const std::int64_t sampling =
      (longer ? kLongSamplingBytes : kSamplingBytes) * llm.vocabulary * budget.max_num_seqs;
  return Bytes(states + std::max(forward, sampling));
}

void set_groups(const LlmProfile& llm, std::int64_t tp, const std::string& kv_dtype,
                MemoryBudget& budget) {
  budget.kv_per_token = llm.kv_bytes_per_token_per_rank(kv_dtype, tp);
  std::int64_t group_layers = llm.layers;
  if (llm.window) {
    const auto window_layers = static_cast<std::int64_t>(
        std::llround(llm.window->layer_fraction * static_cast<double>(llm.layers)));
    const std::int64_t full_layers = llm.layers - window_layers;
    group_layers = std::max<std::int64_t>(1, std::min(window_layers, full_layers));
    if (window_layers == 0 || full_layers == 0) group_layers = llm.layers;
    budget.full_groups = groups_of(full_layers, group_layers);
    budget.window_groups = groups_of(window_layers, group_layers);
    budget.window_tokens = llm.window->tokens;
  }
  const std::int64_t layer_bytes = budget.kv_per_token.count() / llm.layers;
  budget.block_bytes = Bytes(layer_bytes * group_layers * budget.block_size);
}

// Longest context of a single request.
std::int64_t longest_context(const MemoryBudget& budget, std::int64_t limit) {
  std::int64_t low = 0;
  std::int64_t high = limit;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    const bool fits = budget.blocks_per_request(Tokens(middle)) < budget.blocks;
    (fits ? low : high) = fits ? middle : middle - 1;
  }
  return low;
}

void set_max_model_len(const LlmProfile& llm, const GpuProfile& gpu, const MemoryOptions& options,
                       MemoryBudget& budget) {
  budget.max_model_len = options.max_model_len.value_or(llm.max_model_len);
  const std::int64_t longest = longest_context(budget, budget.max_model_len);
  if (longest == budget.max_model_len) return;
  if (options.max_model_len || longest == 0)
    throw ConfigError(fmt::format(
        "max_model_len of {} on {}: found {}, which needs {} of KV cache where {} is left; "
        "allowed: "
        "at most {}",
        llm.name, gpu.name, budget.max_model_len,
        gib(budget.block_bytes * budget.blocks_per_request(Tokens(budget.max_model_len)).count()),
        gib(budget.kv), longest));
  budget.max_model_len = longest;
  budget.max_model_len_lowered = true;
}

}  // namespace

Blocks MemoryBudget::blocks_per_request(Tokens context) const {
  const std::int64_t whole = groups_of(context.count(), block_size);
  // A window that does not begin on a block boundary touches one block more.
  const std::int64_t windowed = std::min(whole, groups_of(window_tokens, block_size) + 1);
  return Blocks(full_groups * whole + window_groups * windowed);
}

Tokens MemoryBudget::kv_tokens() const {
  return Tokens(blocks.count() / (full_groups + window_groups) * block_size);
}

std::int64_t MemoryBudget::clients(Tokens context) const {
  const std::int64_t each = std::max<std::int64_t>(1, blocks_per_request(context).count());
  const std::int64_t usable = std::max<std::int64_t>(0, blocks.count() - 1);  // one is never used
  return std::min(usable / each, max_num_seqs);
}

MemoryBudget memory_budget(const LlmProfile& whole, const GpuProfile& gpu,
                           const MemoryOptions& options) {
  const LlmProfile llm = pipeline_stage(whole, options.pipeline_parallel);
  const EngineDefaults defaults = engine_defaults(options.version, gpu);
  const std::int64_t tp = options.tensor_parallel;
  MemoryBudget budget;
  budget.block_size = options.block_size;
  budget.gpu_memory_utilization =
      options.gpu_memory_utilization.value_or(defaults.gpu_memory_utilization);
  budget.max_num_batched_tokens =
      options.max_num_batched_tokens.value_or(defaults.max_num_batched_tokens);
  budget.max_num_seqs = options.max_num_seqs.value_or(defaults.max_num_seqs);
  budget.total = gpu.peaks.usable;
  budget.requested = Bytes(
      static_cast<std::int64_t>(std::ceil(budget.total.real() * budget.gpu_memory_utilization)));
  budget.weights = llm.weight_bytes(tp, options.weight_dtype);
  budget.activations = activation_bytes(llm, options, budget);
  if (tp > 1) budget.collectives = tp == 2 ? kCollectivesOfTwo : kCollectivesOfMore;
  budget.other = kOther;
  if (defaults.graph_memory_counted) {
    const auto sizes =
        graph_sizes(options.version, graph_tokens_max(options.version, gpu, budget.max_num_seqs));
    budget.graphs = kGraphOfLayer * (llm.layers * static_cast<std::int64_t>(sizes.size()));
  }
  budget.kv = budget.requested - budget.weights - budget.activations - budget.collectives -
              budget.other - budget.graphs;
  set_groups(llm, tp, options.kv_dtype.empty() ? llm.kv_dtype : options.kv_dtype, budget);
  if (budget.kv < budget.block_bytes * 2)
    throw ConfigError(fmt::format(
        "{} on {} with tensor parallelism {}: found {} of weights, {} in all before any KV cache, "
        "{} too much; allowed: at most {} (utilisation {:g} of {})",
        llm.name, gpu.name, tp, gib(budget.weights), gib(budget.requested - budget.kv),
        gib(budget.block_bytes * 2 - budget.kv), gib(budget.requested),
        budget.gpu_memory_utilization, gib(budget.total)));
  budget.blocks = Blocks(budget.kv / budget.block_bytes);
  set_max_model_len(llm, gpu, options, budget);
  return budget;
}

}  // namespace kvsim
