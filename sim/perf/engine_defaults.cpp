#include "sim/perf/engine_defaults.hpp"

#include <algorithm>

#include "sim/perf/engine_profile.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kGraphTokens = 512;

// Releases that first carried a change; see the header for how sure they are.
constexpr EngineVersion kCoarserGraphs{0, 12};
constexpr EngineVersion kAsyncScheduling{0, 14};
constexpr EngineVersion kWholePrompt{0, 19};
constexpr EngineVersion kBatchedCopies{0, 20};  // and stores complete one by one
constexpr EngineVersion kGraphMemory{0, 21};    // and 0.92 instead of 0.90
constexpr EngineVersion kPromptOnly{0, 22};
constexpr EngineVersion kUnhashedFirst{0, 23};
constexpr EngineVersion kEvictableList{0, 24};
constexpr EngineVersion kLargerBudget{0, 26};

// A100 is left out on purpose: larger budgets lowered its throughput.
bool is_large(const GpuProfile& gpu) {
  return gpu.peaks.usable.count() >= 70 * kGiB && gpu.peaks.compute_capability != 8.0;
}

}  // namespace

std::int64_t graph_tokens_max(const std::string& version, const GpuProfile& gpu,
                              std::int64_t max_num_seqs) {
  const double capability = gpu.peaks.compute_capability;
  const bool datacenter_blackwell = capability >= 10 && capability < 11;
  const bool doubled = datacenter_blackwell && EngineVersion::parse(version) >= kLargerBudget;
  return std::min(2 * max_num_seqs, (doubled ? 2 : 1) * kGraphTokens);
}

EngineDefaults engine_defaults(const std::string& version, const GpuProfile& gpu) {
  const EngineVersion v = EngineVersion::parse(version);
  EngineDefaults defaults;
  defaults.max_num_batched_tokens = is_large(gpu) ? 8192 : 2048;
  if (v >= kLargerBudget && gpu.peaks.usable.count() >= 160 * kGiB)
    defaults.max_num_batched_tokens = 16384;
  defaults.max_num_seqs = is_large(gpu) ? 1024 : 256;
  defaults.gpu_memory_utilization = v >= kGraphMemory ? 0.92 : 0.90;
  defaults.async_scheduling = v >= kAsyncScheduling;
  defaults.admit_whole_prompt = v >= kWholePrompt;
  defaults.unhashed_blocks_first = v >= kUnhashedFirst;
  defaults.offload_prompt_only = v >= kPromptOnly;
  defaults.offload_plain_copies = v < kBatchedCopies;
  defaults.offload_ready_at_end = v < kBatchedCopies;
  defaults.offload_scans = v < kEvictableList;
  defaults.graph_memory_counted = v >= kGraphMemory;
  defaults.graph_tokens_max = graph_tokens_max(version, gpu, defaults.max_num_seqs);
  return defaults;
}

std::vector<std::int64_t> graph_sizes(const std::string& version, std::int64_t tokens_max) {
  const bool coarser = EngineVersion::parse(version) >= kCoarserGraphs;
  std::vector<std::int64_t> sizes;
  for (const std::int64_t size : {1, 2, 4})
    if (size <= tokens_max) sizes.push_back(size);
  for (std::int64_t size = 8; size <= tokens_max; size += coarser && size >= 256 ? 16 : 8)
    sizes.push_back(size);
  return sizes;
}

}  // namespace kvsim
