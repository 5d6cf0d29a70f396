// How vLLM divides a GPU's memory, and so how many KV blocks a replica has (spec: vllm.md section
// 6):
//
//   requested   = ceil(memory that CUDA reports * gpu_memory_utilization)
//   kv          = requested - weights - activations - collectives - other - graphs (from 0.21)
//   blocks      = floor(kv / (page bytes of a layer * layers))
//
// Assumed here, because the engine measures them in a profile run instead of computing them:
//   activations = the larger of
//     forward:  T tokens of residual and hidden state, and the widest pair of buffers of a layer
//     sampling: S rows of the whole vocabulary beside the hidden states: 18 bytes an entry before
//               0.11, 36 from then on. Counted from the buffers of the sampler; which of them live
//               at once was chosen to fit the KV tokens of published deployments (see the test);
//     T = max_num_batched_tokens, S = max_num_seqs
//   collectives = 342 MB for two ranks, 392 MB for more; other = 256 MiB of library workspaces
//   graphs      = 0.25 MiB a layer and captured size.
// The CUDA context is not subtracted: it lies in the share that the engine leaves alone.
// With pipeline parallelism the layers are those of one stage; activations of the micro-batches in
// flight count once. Leaves out LoRA, speculative decoding and multimodal encoders.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/perf/engine_defaults.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/llm_profile.hpp"

namespace kvsim {

// Engine flags that matter for memory; what is not set follows the version and GPU.
struct MemoryOptions {
  std::int64_t tensor_parallel = 1;
  std::int64_t pipeline_parallel = 1;  // the budget is that of a rank of the largest stage
  std::string version = kDefaultEngineVersion;
  std::string weight_dtype;  // empty = as the LLM is published
  std::string kv_dtype;      // likewise
  std::optional<double> gpu_memory_utilization;
  std::optional<std::int64_t> max_num_batched_tokens;
  std::optional<std::int64_t> max_num_seqs;
  std::optional<std::int64_t> max_model_len;
  std::int64_t block_size = 16;
};

// One rank's memory; every rank of the group is alike.
struct MemoryBudget {
  Bytes total{0};
  Bytes requested{0};
  Bytes weights{0};
  Bytes activations{0};
  Bytes collectives{0};
  Bytes other{0};
  Bytes graphs{0};
  Bytes kv{0};
  Bytes kv_per_token{0};  // on this rank, all layers
  Bytes block_bytes{0};   // of one block id: all layers that share it
  Blocks blocks{0};
  std::int64_t block_size = 0;
  // Models with a sliding window keep groups of layers that take blocks separately from one pool.
  std::int64_t full_groups = 1;
  std::int64_t window_groups = 0;
  std::int64_t window_tokens = 0;
  std::int64_t max_num_batched_tokens = 0;
  std::int64_t max_num_seqs = 0;
  double gpu_memory_utilization = 0;
  std::int64_t max_model_len = 0;
  bool max_model_len_lowered = false;  // not asked for, and the model's own would not fit

  // Blocks that one request holds at this context length.
  [[nodiscard]] Blocks blocks_per_request(Tokens context) const;
  // Tokens of KV that all blocks hold, as the engine reports it.
  [[nodiscard]] Tokens kv_tokens() const;
  // Requests at this context length that fit at once; also limited by max_num_seqs.
  [[nodiscard]] std::int64_t clients(Tokens context) const;
};

// Throws ConfigError, saying by how much, when the model or the asked max_model_len does not fit.
MemoryBudget memory_budget(const LlmProfile& llm, const GpuProfile& gpu,
                           const MemoryOptions& options);

}  // namespace kvsim
