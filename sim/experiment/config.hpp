// An experiment as its file says it: "schema": "kvsim.experiment/1". Everything but `workload` and
// `pools` has a default. What a plug-in's options are is the plug-in's own business: they are kept
// as JSON here and read strictly when the experiment is assembled.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/experiment/faults.hpp"
#include "sim/experiment/network.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/perf/model_overlay.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

struct EngineConfig {
  std::string version;
  Json scheduler = "vllm";
  Json step_time = "fitted";
  std::optional<std::int64_t> max_num_batched_tokens;
  std::optional<std::int64_t> max_num_seqs;
  std::optional<double> gpu_memory_utilization;
  std::optional<std::int64_t> max_model_len;
  std::optional<std::int64_t> block_size;
  std::optional<std::int64_t> num_gpu_blocks_override;
  std::optional<bool> async_scheduling;
  std::optional<bool> reserve_full_isl;
  std::optional<std::int64_t> api_servers;
  std::int64_t long_prefill_token_threshold = 0;
  double watermark = 0;
  bool enable_prefix_caching = true;
  bool enable_chunked_prefill = true;
  bool request_overhead = true;
  bool coalesce_steps = true;
  std::string scheduling_policy = "fcfs";
  std::string answers_end_by = "length";
  std::string kv_cache_dtype;
  std::string weight_dtype;

  template <class F>
  void fields(F& f) {
    f.optional("version", version, "vLLM version whose defaults and overheads hold.");
    f.optional("scheduler", scheduler, "A scheduler plug-in.");
    f.optional("step_time", step_time, "A step time plug-in.");
    f.optional("max_num_batched_tokens", max_num_batched_tokens, Range{1, 1e7},
               "Tokens a step may compute. Default: by version and GPU.");
    f.optional("max_num_seqs", max_num_seqs, Range{1, 1e6},
               "Requests that run at once. Default: by version and GPU.");
    f.optional("gpu_memory_utilization", gpu_memory_utilization, Range{0.01, 1},
               "Share of the GPU's memory. Default: by version.");
    f.optional("max_model_len", max_model_len, Range{1, 1e9},
               "Longest prompt plus answer. Default: the LLM's.");
    f.optional("block_size", block_size, Range{1, 1024}, "Tokens of a KV block.");
    f.optional("num_gpu_blocks_override", num_gpu_blocks_override, Range{2, 1 << 26},
               "KV blocks in HBM, instead of what memory allows.");
    f.optional("async_scheduling", async_scheduling,
               "Plan the next step while this one runs. Default: by version.");
    f.optional("reserve_full_isl", reserve_full_isl,
               "Admit only when the whole prompt fits. Default: by version.");
    f.optional("api_servers", api_servers, Range{1, 256}, "API server processes of a replica.");
    f.optional("long_prefill_token_threshold", long_prefill_token_threshold, Range{0, 1e7},
               "Most tokens of one prompt in a step; 0 = no such cap.");
    f.optional("watermark", watermark, Range{0, 1}, "Share of blocks kept free when admitting.");
    f.optional("enable_prefix_caching", enable_prefix_caching, "Reuse KV of equal prefixes.");
    f.optional("enable_chunked_prefill", enable_chunked_prefill, "Split prompts over steps.");
    f.optional("request_overhead", request_overhead,
               "API server and tokeniser cost time; false: requests reach the engine at once.");
    f.optional("coalesce_steps", coalesce_steps,
               "Sleep once for runs of equal steps; false changes nothing but speed.");
    f.choice("answers_end_by", answers_end_by, {"length", "stop"},
             "stop: by a stop token, which asynchronous scheduling learns a step too late.");
    f.choice("scheduling_policy", scheduling_policy, {"fcfs", "priority"}, "Order of waiting.");
    f.choice("kv_cache_dtype", kv_cache_dtype, {"", "bf16", "fp8"}, "Default: the LLM's.");
    f.choice("weight_dtype", weight_dtype, {"", "bf16", "fp8"}, "Default: as published.");
  }
};

// Bringing a replica up: when an autoscaler wants one more, or one has crashed.
struct StartupConfig {
  Seconds pod{30};
  Bandwidth load{2e9};
  bool warm = false;

  template <class F>
  void fields(F& f) {
    f.optional("pod_s", pod, Range{0, 1e5},
               "Until its process runs: scheduling, image, imports, graphs. Default: assumed.");
    f.optional("load_bytes_per_s", load, Range{0, 1e13},
               "Rate at which its weights are read; 0 = at once. Default: assumed.");
    f.optional("warm", warm, "What its connector kept in DRAM is still there.");
  }
};

struct PoolConfig {
  std::string name = "pool";
  std::string role = "aggregated";
  std::int64_t replicas = 1;
  std::optional<std::int64_t> min_replicas;
  std::optional<std::int64_t> max_replicas;
  StartupConfig startup;
  double weight = 1;
  std::string llm;
  std::string gpu;
  std::int64_t tensor_parallel = 1;
  std::int64_t pipeline_parallel = 1;
  std::string node;
  EngineConfig engine;
  std::optional<Json> connector;

  template <class F>
  void fields(F& f) {
    f.optional("name", name, "For tables.");
    f.choice("role", role, {"aggregated", "prefill", "decode"}, "What its replicas do.");
    f.optional("replicas", replicas, Range{1, 1e5}, "Equal copies of the LLM, at the beginning.");
    f.optional("min_replicas", min_replicas, Range{1, 1e5},
               "Fewest that an autoscaler leaves. Default: 1.");
    f.optional("max_replicas", max_replicas, Range{1, 1e5},
               "Most that an autoscaler may want. Default: `replicas`.");
    f.optional("startup", startup, "Bringing one more up.");
    f.optional("weight", weight, Range{1e-6, 1e6}, "Of each, for routers that weigh replicas.");
    f.required("llm", llm, "Profile in models/llm, or a JSON file.");
    f.required("gpu", gpu, "Profile in models/gpu, or a JSON file.");
    f.optional("tensor_parallel", tensor_parallel, Range{1, 64}, "GPUs of a replica.");
    f.optional("pipeline_parallel", pipeline_parallel, Range{1, 64},
               "Groups of its layers, on `tensor_parallel` GPUs each.");
    f.optional("node", node, "Which of `nodes` it runs on. Default: the first.");
    f.optional("engine", engine, "The serving engine's options.");
    f.optional("connector", connector, "KV tiers below HBM: a connector plug-in.");
  }
};

struct NodeConfig {
  std::string name = "node";
  std::int64_t gpus = 8;
  Bytes dram{0};
  std::optional<std::int64_t> gpus_per_switch;
  std::optional<Bandwidth> switch_bandwidth;
  CpuOptions cpu;
  std::vector<Json> disks;
  std::optional<Bandwidth> nic;
  std::optional<std::int64_t> nics;
  std::optional<Bandwidth> nics_together;

  template <class F>
  void fields(F& f) {
    f.optional("name", name, "What pools call it.");
    f.optional("gpus", gpus, Range{1, 64}, "GPUs of one node.");
    f.optional("dram_bytes", dram, Range{0, 1e15}, "RAM of one node; 0 = not stated.");
    f.optional("gpus_per_switch", gpus_per_switch, Range{1, 64},
               "GPUs that share a PCIe switch. Default: the GPU profile's.");
    f.optional("switch_bandwidth_bytes_per_s", switch_bandwidth, Range{1e6, 1e15},
               "Of a PCIe switch towards the host, one way. Default: the GPU profile's.");
    f.optional("cpu", cpu, "Its processor.");
    f.optional("disks", disks, "Disk plug-ins, each with a \"name\" that stores call it by.");
    f.optional("nic_bytes_per_s", nic, Range{1e6, 1e14},
               "A network card of it, one way, nominal. Default: the network's.");
    f.optional("nics", nics, Range{1, 64}, "Its network cards. Default: the network's.");
    f.optional("nics_bytes_per_s", nics_together, Range{0, 1e15},
               "Most that they carry together. Default: the network's.");
  }
};

// Our own keys of a store; the others are its plug-in's.
struct StoreConfig {
  std::string name;
  std::string place = "each-node";
  std::string node;

  template <class F>
  void fields(F& f) {
    f.required("name", name, "What connectors call it.");
    f.choice("place", place, {"each-node", "sharded", "dedicated"},
             "One for each inference node and by itself; one on each, sharing the keys; or one on "
             "a machine of its own.");
    f.optional("node", node, "Which of `nodes` a dedicated one runs on.");
  }
};

// Our own keys of the router; the others are its plug-in's.
struct RouterConfig {
  Seconds view_refresh{0.05};
  GatewayCosts gateway;
  KvEventOptions events;
  Seconds detection{1};
  Json admission = "none";
  std::optional<Json> prefill;

  template <class F>
  void fields(F& f) {
    f.optional("view_refresh_s", view_refresh, Range{0, 1e6},
               "Age that gauges may have; 0 = always fresh.");
    f.optional("gateway", gateway, "CPU of the gateway and its endpoint picker. Default: free.");
    f.optional("events", events, "KV events on their way to it.");
    f.optional("detection_s", detection, Range{0, 1e4},
               "Until it knows that a replica is gone: probes. Default: assumed.");
    f.optional("admission", admission, "An admission plug-in: holds requests back, or refuses.");
    f.optional("prefill", prefill,
               "The router among prefill replicas, with a plug-in's keys only. Default: the same.");
  }
};

// Prompts computed by prefill pools, answers by decode pools.
struct DisaggregationConfig {
  Json decider = "always";
  DisaggregationOptions options;
  KvTransferOptions transfer;

  template <class F>
  void fields(F& f) {
    f.optional("decider", decider, "A decider plug-in: which prompts go to a prefill replica.");
    f.optional("transfer", transfer, "KV from prefill to decode replicas.");
    options.fields(f);
  }
};

struct MeasureConfig {
  Seconds warmup{0};
  std::optional<Seconds> duration;
  std::string count = "arrived";
  std::optional<Seconds> kvmap_period;
  std::int64_t kvmap_window = 10;
  std::int64_t kvmap_top = 1000;

  template <class F>
  void fields(F& f) {
    f.optional("warmup_s", warmup, Range{0, 1e9}, "Before the measuring window.");
    f.optional("duration_s", duration, Range{1e-9, 1e9},
               "Of the measuring window; the run ends with it. Default: until all is served.");
    f.choice("count", count, {"arrived", "completed"},
             "Measured are requests sent, or ended, in the window.");
    f.optional("kvmap_period_s", kvmap_period, Range{1e-6, 1e9},
               "Between samples of the map of the KV cache, where it is asked for. Default: a "
               "hundredth of warm-up and duration, 1 s without a duration.");
    f.optional("kvmap_window_periods", kvmap_window, Range{1, 1e6},
               "What was used within so many of them is hot.");
    f.optional("kvmap_top", kvmap_top, Range{0, 1e9}, "Entries listed at the end of the map.");
  }
};

struct SloConfig {
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;

  template <class F>
  void fields(F& f) {
    f.optional("ttft_s", ttft, Range{0, 1e6}, "Time to first token.");
    f.optional("tpot_s", tpot, Range{0, 1e6}, "Time per output token after the first.");
  }
};

struct CostConfig {
  std::string prices = "rental-on-demand";
  std::optional<double> gpu_usd_per_hour;

  template <class F>
  void fields(F& f) {
    f.optional("prices", prices, "Price book in models/prices, or a JSON file.");
    f.optional("gpu_usd_per_hour", gpu_usd_per_hour, Range{0, 1e5}, "Instead of the book's.");
  }
};

// One load after the other on the same deployment.
struct StageConfig {
  std::string name;
  Json workload = Json::object();
  Json load = Json::object();
  Seconds pause{0};
  bool same_text = false;

  template <class F>
  void fields(F& f) {
    f.optional("name", name, "For tables. Default: its number, from 0.");
    f.optional("workload", workload, "Laid over the experiment's (RFC 7386).");
    f.optional("load", load, "Laid over the experiment's (RFC 7386).");
    f.optional("pause_s", pause, Range{0, 1e7}, "Between the end of the stage before and this.");
    f.optional("same_text", same_text,
               "Draws and text of the first stage once more; else only shared prefixes are.");
  }
};

struct ExperimentConfig {
  std::string schema;
  std::string name;
  std::string description;
  Json workload;
  Json load = Json::object();
  std::optional<std::vector<StageConfig>> stages;
  std::vector<PoolConfig> pools;
  std::vector<NodeConfig> nodes;
  std::vector<Json> stores;
  NetworkConfig network;
  Json router = "round-robin";
  DisaggregationConfig disaggregation;
  RetryConfig retry;
  Json autoscaler = "static";
  std::vector<FaultConfig> faults;
  MeasureConfig measure;
  SloConfig slo;
  CostConfig cost;
  std::vector<ModelOverride> model_overrides;
  std::int64_t seed = 1;
  bool deterministic = false;
  std::vector<std::string> assume_free;
  std::optional<Json> profile;
  std::vector<Json> live;
  bool shadow = false;
  std::vector<std::string> warnings;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.experiment/1"}, "What this file is.");
    f.optional("name", name, "For tables and the default results folder.");
    f.optional("description", description, "For readers.");
    f.required("workload", workload, "A trace ({\"path\": ...}) or a generator.");
    f.optional("load", load, "How requests arrive.");
    f.optional("stages", stages,
               "Loads one after the other, caches as the one before left them. Default: one.");
    f.required("pools", pools, "Replicas of LLMs.");
    f.optional("nodes", nodes, "Kinds of machines.");
    f.optional("stores", stores, "Store plug-ins, each with \"name\" and \"place\".");
    f.optional("network", network, "Between and within machines.");
    f.optional("router", router, "A router plug-in, with \"view_refresh_s\" and more of ours.");
    f.optional("disaggregation", disaggregation, "Of pools for prefill and for decode.");
    f.optional("retry", retry, "What clients do about failed requests.");
    f.optional("autoscaler", autoscaler, "An autoscaler plug-in.");
    f.optional("faults", faults, "What breaks, and when.");
    f.optional("measure", measure, "What is measured.");
    f.optional("slo", slo, "Bounds that a good request keeps.");
    f.optional("cost", cost, "Prices.");
    f.optional("model_overrides", model_overrides, "Changes to numbers of model files.");
    f.optional("seed", seed, Range{0, 9e15}, "Of all random streams.");
    f.optional("deterministic", deterministic, "Service times are means instead of draws.");
    f.optional("assume_free", assume_free,
               "What-if: kinds of resources that cost no time, of client, server, disk, network, "
               "memory, pcie.");
    f.optional(
        "profile", profile,
        "Calibrations of a machine (kvsim calibrate): a file, or a list, later over earlier.");
    f.optional("live", live, "Lanes whose operations are done for real: bench plug-ins.");
    f.optional("shadow", shadow,
               "Live lanes are only compared with the model, which tells the time.");
    f.optional("warnings", warnings, "For readers of the results: the summary repeats them.");
  }
};

}  // namespace kvsim
