// Names and defaults after vLLM's vllm/engine/arg_utils.py and vllm/config/, September 2025 (v0.11)
// to August 2026 (about v0.27). Defaults that depend on the GPU or the version are left to
// the simulator's own engine defaults and stand here as "".
#include "sim/explain/vllm_options.hpp"

#include <array>
#include <utility>

namespace kvsim {

namespace {

constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kIgnored = Effect::kIgnoredByReal;
constexpr Effect kNotModelled = Effect::kNotModelled;

using Rows = std::vector<OptionRow>;

Rows engine_rows() {
  return {
      {"--model", kModelled, "/llm", Unit::kText, kAnyRange, "", "Which LLM."},
      {"--tensor-parallel-size", kModelled, "/tensor_parallel", Unit::kInteger, Range{1, 64}, "1",
       "GPUs that share each layer of a replica."},
      {"--max-num-batched-tokens", kModelled, "/engine/max_num_batched_tokens", Unit::kHumanCount,
       Range{1, 1e7}, "", "Tokens that a step may compute: long prompts are split by it."},
      {"--max-num-seqs", kModelled, "/engine/max_num_seqs", Unit::kInteger, Range{1, 1e6}, "",
       "Requests that run at once; others wait."},
      {"--gpu-memory-utilization", kModelled, "/engine/gpu_memory_utilization", Unit::kNumber,
       Range{0.01, 1}, "", "Share of the GPU's memory: what weights leave of it holds KV blocks."},
      {"--max-model-len", kModelled, "/engine/max_model_len", Unit::kHumanCount, Range{1, 1e9}, "",
       "Longest prompt plus answer; longer ones are refused."},
      {"--block-size", kModelled, "/engine/block_size", Unit::kInteger, Range{1, 1024}, "16",
       "Tokens of a KV block: prefixes are shared in whole blocks."},
      {"--num-gpu-blocks-override", kModelled, "/engine/num_gpu_blocks_override", Unit::kInteger,
       Range{2, 1 << 26}, "", "KV blocks in HBM, whatever the memory allows."},
      {"--async-scheduling", kModelled, "/engine/async_scheduling", Unit::kFlag, kAnyRange, "",
       "The next step is planned while this one runs."},
      {"--enable-prefix-caching", kModelled, "/engine/enable_prefix_caching", Unit::kFlag,
       kAnyRange, "true", "Equal prefixes are computed once."},
      {"--enable-chunked-prefill", kModelled, "/engine/enable_chunked_prefill", Unit::kFlag,
       kAnyRange, "true", "Prompts may be split over steps."},
      {"--long-prefill-token-threshold", kModelled, "/engine/long_prefill_token_threshold",
       Unit::kInteger, Range{0, 1e7}, "0", "Most tokens of one prompt in a step."},
      {"--kv-cache-dtype", kModelled, "/engine/kv_cache_dtype", Unit::kText, kAnyRange, "auto",
       "Bytes of a KV element, and so how many tokens fit."},
      {"--scheduling-policy", kModelled, "/engine/scheduling_policy", Unit::kText, kAnyRange,
       "fcfs", "In which order waiting requests are admitted."},
      {"--api-server-count", kModelled, "/engine/api_servers", Unit::kInteger, Range{1, 256}, "1",
       "Processes that tokenise and answer."},
      {"--watermark", kModelled, "/engine/watermark", Unit::kNumber, Range{0, 1}, "0",
       "Share of blocks kept free when a request is admitted."},
      {"--quantization", kModelled, "/engine/weight_dtype", Unit::kText, kAnyRange, "",
       "Bytes of a weight."},
      {"--kv-offloading-size", kModelled, "/connector/cpu_bytes", Unit::kGibibytes, Range{0, 1e6},
       "", "GiB of DRAM for KV blocks, over all tensor-parallel ranks."},
      {"--kv-offloading-backend", kNotModelled, "", Unit::kText, kAnyRange, "native",
       "Who fills that DRAM: vLLM itself or LMCache."},
  };
}

Rows missing_rows() {
  return {
      {"--pipeline-parallel-size", kNotModelled, "", Unit::kInteger, kAnyRange, "1",
       "Layers on different GPUs."},
      {"--data-parallel-size", kNotModelled, "", Unit::kInteger, kAnyRange, "1",
       "Each rank has a KV cache of its own: state it as \"replicas\" of the pool."},
      {"--enable-expert-parallel", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Experts on different GPUs."},
      {"--dtype", kNotModelled, "", Unit::kText, kAnyRange, "auto",
       "Type of activations; the model takes two bytes."},
      {"--enforce-eager", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "No CUDA graphs: steps of few tokens take longer."},
      {"--speculative-config", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Several tokens a step; the model makes one."},
      {"--compilation-config", kNotModelled, "", Unit::kText, kAnyRange, "",
       "CUDA graphs and compilation: part of the measured step times."},
      {"--performance-mode", kNotModelled, "", Unit::kText, kAnyRange, "",
       "\"throughput\" doubles two limits: state max_num_batched_tokens and max_num_seqs."},
      {"--kv-cache-memory-bytes", kNotModelled, "", Unit::kHumanCount, kAnyRange, "",
       "Bytes of HBM for KV: state num_gpu_blocks_override."},
      {"--cpu-offload-gb", kNotModelled, "", Unit::kNumber, kAnyRange, "0",
       "GiB of weights in DRAM, read over PCIe in each step."},
      {"--prefix-caching-hash-algo", kNotModelled, "", Unit::kText, kAnyRange, "sha256",
       "How block hashes are computed."},
      {"--max-num-partial-prefills", kNotModelled, "", Unit::kInteger, kAnyRange, "1",
       "Prompts that are split at once."},
      {"--max-long-partial-prefills", kNotModelled, "", Unit::kInteger, kAnyRange, "1",
       "Long prompts that are split at once."},
      {"--kv-events-config", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Tells routers which blocks it holds."},
      {"--enable-lora", kNotModelled, "", Unit::kFlag, kAnyRange, "false", "Adapters."},
      {"--stream-interval", kNotModelled, "", Unit::kInteger, kAnyRange, "1",
       "Tokens of one message to the client."},
      {"--disable-hybrid-kv-cache-manager", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Sliding-window layers keep all their blocks."},
      {"--distributed-executor-backend", kNotModelled, "", Unit::kText, kAnyRange, "",
       "How ranks are started."},
      {"--attention-backend", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Part of the measured step times."},
  };
}

Rows ignored_rows() {
  Rows out;
  for (const char* name :
       {"--swap-space", "--preemption-mode", "--num-scheduler-steps", "--use-v2-block-manager",
        "--scheduler-delay-factor", "--multi-step-stream-outputs", "--num-lookahead-slots"})
    out.push_back({name, kIgnored, "", Unit::kText, kAnyRange, "",
                   "Of the V0 engine: V1 recomputes what it preempts and knows no such option."});
  return out;
}

Rows plain_rows() {
  Rows out;
  for (const char* name : {"--host",
                           "--port",
                           "--uvicorn-log-level",
                           "--api-key",
                           "--served-model-name",
                           "--tokenizer",
                           "--tokenizer-mode",
                           "--trust-remote-code",
                           "--download-dir",
                           "--load-format",
                           "--revision",
                           "--seed",
                           "--chat-template",
                           "--enable-auto-tool-choice",
                           "--tool-call-parser",
                           "--reasoning-parser",
                           "--limit-mm-per-prompt",
                           "--mm-processor-kwargs",
                           "--hf-overrides",
                           "--generation-config",
                           "--override-generation-config",
                           "--allowed-origins",
                           "--ssl-keyfile",
                           "--ssl-certfile",
                           "--otlp-traces-endpoint",
                           "--max-logprobs",
                           "--config",
                           "--hf-token",
                           "--root-path",
                           "--middleware",
                           "--allowed-local-media-path",
                           "--guided-decoding-backend",
                           "--structured-outputs-config",
                           "--max-log-len",
                           "--worker-cls",
                           "--additional-config"})
    out.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Without influence on scheduling and KV cache."});
  for (const char* name :
       {"--disable-log-requests", "--disable-log-stats", "--enable-log-requests",
        "--disable-uvicorn-access-log", "--enable-server-load-tracking", "--headless",
        "--enable-prompt-tokens-details", "--return-tokens-as-token-ids",
        "--disable-custom-all-reduce", "--skip-tokenizer-init"})
    out.push_back({name, kNotModelled, "", Unit::kFlag, kAnyRange, "false",
                   "Without influence on scheduling and KV cache."});
  return out;
}

}  // namespace

const OptionTable& vllm_options() {
  static const OptionTable table = [] {
    Rows all;
    for (const Rows& rows : {engine_rows(), missing_rows(), ignored_rows(), plain_rows()})
      all.insert(all.end(), rows.begin(), rows.end());
    return OptionTable("vLLM", all);
  }();
  return table;
}

const OptionTable& vllm_transfer_options() {
  static const OptionTable table(
      "vLLM",
      {
          {"kv_connector", kModelled, "", Unit::kText, kAnyRange, "", "What keeps KV below HBM."},
          {"kv_role", kNotModelled, "", Unit::kText, kAnyRange, "kv_both",
           "Whether it stores, loads, or both; the model does both."},
          {"kv_load_failure_policy", kNotModelled, "", Unit::kText, kAnyRange, "fail",
           "What happens when promised KV is gone; the model recomputes."},
          {"kv_connector_module_path", kNotModelled, "", Unit::kText, kAnyRange, "",
           "Where the connector's code is."},
          {"kv_buffer_device", kNotModelled, "", Unit::kText, kAnyRange, "",
           "Of connectors between replicas."},
          {"engine_id", kNotModelled, "", Unit::kText, kAnyRange, "", "A name."},
          {"kv_connector_extra_config.cpu_bytes_to_use", kModelled, "/connector/cpu_bytes",
           Unit::kBytes, Range{1, 1e15}, "", "DRAM for KV blocks, over all tensor-parallel ranks."},
          {"kv_connector_extra_config.num_cpu_blocks", kNotModelled, "", Unit::kInteger,
           Range{1, 1e12}, "", "DRAM counted in blocks, until January 2026."},
          {"kv_connector_extra_config.block_size", kNotModelled, "", Unit::kInteger, Range{1, 1e6},
           "", "Tokens of a chunk: what is stored and loaded as one."},
          {"kv_connector_extra_config.blocks_per_chunk", kModelled, "/connector/blocks_per_chunk",
           Unit::kInteger, Range{1, 4096}, "1", "GPU blocks of a chunk."},
          {"kv_connector_extra_config.store_threshold", kModelled, "/connector/store_threshold",
           Unit::kInteger, Range{0, 1e6}, "0", "A chunk is stored once it was looked up so often."},
          {"kv_connector_extra_config.offload_prompt_only", kModelled, "/connector/prompt_only",
           Unit::kFlag, kAnyRange, "", "Generated tokens are not stored."},
          {"kv_connector_extra_config.eviction_policy", kModelled, "/connector/eviction",
           Unit::kText, kAnyRange, "lru", "Which chunks leave DRAM first."},
          {"kv_connector_extra_config.spec_name", kNotModelled, "", Unit::kText, kAnyRange, "",
           "TieringOffloadingSpec puts tiers below DRAM, which the model does not have."},
          {"kv_connector_extra_config.secondary_tiers", kNotModelled, "", Unit::kText, kAnyRange,
           "", "Tiers below DRAM."},
          {"kv_connector_extra_config.connectors", kNotModelled, "", Unit::kText, kAnyRange, "",
           "Several connectors at once: explain each on its own."},
          {"kv_connector_extra_config.lmcache.mp.host", kNotModelled, "", Unit::kText, kAnyRange,
           "", "An address."},
          {"kv_connector_extra_config.lmcache.mp.port", kNotModelled, "", Unit::kText, kAnyRange,
           "", "An address."},
      });
  return table;
}

const OptionTable& vllm_environment() {
  static const OptionTable table(
      "vLLM", {
                  {"VLLM_USE_V1", kIgnored, "", Unit::kText, kAnyRange, "",
                   "V1 is the only engine since v0.11."},
                  {"VLLM_ATTENTION_BACKEND", kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Part of the measured step times."},
                  {"VLLM_USE_SIMPLE_KV_OFFLOAD", kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Another offloading connector, which the model does not have."},
                  {"PYTHONHASHSEED", kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Equal block hashes in all processes; the model's always are."},
                  {"CUDA_VISIBLE_DEVICES", kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Which GPUs; the experiment says how many."},
                  {"LMCACHE_USE_EXPERIMENTAL", kIgnored, "", Unit::kText, kAnyRange, "",
                   "Chose between two engines until 2025; the current ones have one."},
                  {"LMCACHE_CONFIG_FILE", kNotModelled, "", Unit::kText, kAnyRange, "",
                   "More options are in that file: explain it as well."},
              });
  return table;
}

std::string vllm_long_name(const std::string& flag) {
  static constexpr std::array kShort{
      std::pair{"--tp", "--tensor-parallel-size"}, std::pair{"--pp", "--pipeline-parallel-size"},
      std::pair{"--dp", "--data-parallel-size"},   std::pair{"--asc", "--api-server-count"},
      std::pair{"--q", "--quantization"},          std::pair{"--cc", "--compilation-config"}};
  for (const auto& [name, full] : kShort)
    if (flag == name) return full;
  // -O3, -O.level=3
  return flag.starts_with("--O") ? "--compilation-config" : flag;
}

}  // namespace kvsim
