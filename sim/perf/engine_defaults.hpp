// What vLLM's API server chooses when no flag says otherwise, by version and GPU (spec: vllm.md
// sections 1-4, 6, 7). A default is dated by the commit that changed it; the release that first
// carried a commit is an estimate for all but asynchronous scheduling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

inline constexpr const char* kDefaultEngineVersion = "0.15";

struct EngineDefaults {
  std::int64_t max_num_batched_tokens = 0;
  std::int64_t max_num_seqs = 0;
  double gpu_memory_utilization = 0;
  std::int64_t block_size = 16;
  bool async_scheduling = false;
  bool admit_whole_prompt = false;     // a waiting request needs blocks for its whole prompt
  bool unhashed_blocks_first = false;  // freed blocks without a hash are reused first
  bool offload_prompt_only = false;    // native offload skips generated tokens
  bool offload_plain_copies = false;   // native offload submits each copy by a call of its own
  bool offload_ready_at_end = false;   // ... has what a request stored ready when that has ended
  bool offload_scans = false;          // ... walks over chunks that cannot be evicted
  bool graph_memory_counted = false;   // CUDA graphs are subtracted from the KV cache's share
  std::int64_t graph_tokens_max = 0;   // largest captured batch with the default max_num_seqs
};

EngineDefaults engine_defaults(const std::string& version, const GpuProfile& gpu);

// Largest batch captured as a CUDA graph when max_num_seqs is set.
std::int64_t graph_tokens_max(const std::string& version, const GpuProfile& gpu,
                              std::int64_t max_num_seqs);

// Batch sizes captured as CUDA graphs, rising; a smaller batch is padded to the next one.
std::vector<std::int64_t> graph_sizes(const std::string& version, std::int64_t tokens_max);

}  // namespace kvsim
