// Two generations are covered: about v0.3.9 (November 2025) and July 2026. "GB" are multiples of
// 2^30 there. Defaults are those of both generations where they agree; save_unfull_chunk differs.
#include "sim/explain/lmcache_tables.hpp"

#include <array>

namespace kvsim {

namespace {

constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kIgnored = Effect::kIgnoredByReal;
constexpr Effect kNotModelled = Effect::kNotModelled;

using Rows = std::vector<OptionRow>;

Rows modelled_rows() {
  return {
      {"chunk_size", kModelled, "/chunk_tokens", Unit::kInteger, Range{1, 1e6}, "256",
       "Tokens of a chunk: what is looked up, stored and moved as one."},
      {"local_cpu", kModelled, "/local_cpu", Unit::kFlag, kAnyRange, "true",
       "Keeps chunks in DRAM; without it DRAM is a staging buffer only."},
      {"max_local_cpu_size", kModelled, "/max_local_cpu_bytes", Unit::kGibibytes, Range{0, 1e6},
       "5", "GiB of pinned DRAM for each rank; it exists as staging buffer in any case."},
      {"local_disk", kModelled, "/local_disk", Unit::kText, kAnyRange, "",
       "Chunks are also written to files there, and read one after another."},
      {"max_local_disk_size", kNotModelled, "", Unit::kGibibytes, Range{0, 1e6}, "0",
       "GiB of files: state it as the capacity of the store that local_disk names."},
      {"remote_url", kModelled, "/remote", Unit::kText, kAnyRange, "",
       "Chunks are also written to this store, at the same time as to the others."},
      {"remote_serde", kModelled, "/serde", Unit::kText, kAnyRange, "naive",
       "What is done to a chunk before it is sent; cachegen quantises it, with loss."},
      {"use_layerwise", kModelled, "/use_layerwise", Unit::kFlag, kAnyRange, "false",
       "A chunk is split by layer, and loads overlap the layers before."},
      {"save_decode_cache", kModelled, "/save_decode_cache", Unit::kFlag, kAnyRange, "false",
       "Generated tokens are stored too."},
      {"save_unfull_chunk", kModelled, "/save_unfull_chunk", Unit::kFlag, kAnyRange, "false",
       "The last part of a prompt is stored although it fills no chunk."},
      {"enable_async_loading", kModelled, "/enable_async_loading", Unit::kFlag, kAnyRange, "false",
       "Disk and remote chunks are fetched before the request is scheduled."},
      {"blocking_timeout_secs", kModelled, "/blocking_timeout_s", Unit::kSeconds, Range{0, 1e6},
       "10", "A slower read counts as a miss."},
      {"lookup_timeout_ms", kModelled, "/lookup_timeout_s", Unit::kMilliseconds, Range{0, 1e9},
       "3000", "A slower lookup counts as a miss."},
      {"min_retrieve_tokens", kModelled, "/min_retrieve_tokens", Unit::kInteger, Range{0, 1e9}, "0",
       "Shorter hits are computed instead of loaded."},
      {"cache_policy", kModelled, "/cache_policy", Unit::kText, kAnyRange, "LRU",
       "Which chunks leave DRAM first."},
  };
}

Rows ignored_rows() {
  Rows out;
  for (const char* name :
       {"extra_config.use_mset", "extra_config.enable_batch_writes",
        "extra_config.redis_batch_size", "use_mset", "enable_batch_writes", "redis_batch_size"})
    out.push_back({name, kIgnored, "", Unit::kText, kAnyRange, "",
                   "Nothing in LMCache (November 2025, July 2026) reads it: chunks are written "
                   "one by one, in two SETs each."});
  out.push_back({"use_experimental", kIgnored, "", Unit::kText, kAnyRange, "",
                 "Chose between two engines until 2025; the current ones have one."});
  return out;
}

Rows feature_rows() {
  return {
      {"pre_caching_hash_algorithm", kNotModelled, "", Unit::kText, kAnyRange, "builtin",
       "How keys are computed."},
      {"numa_mode", kNotModelled, "", Unit::kText, kAnyRange, "",
       "DRAM on the GPU's NUMA node; the model has one DRAM."},
      {"local_cpu_use_hugepages", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Page size of the pinned DRAM."},
      {"reserve_local_cpu_size", kNotModelled, "", Unit::kGibibytes, kAnyRange, "0",
       "GiB of DRAM that LMCache leaves free."},
      {"local_disk_path_sharding", kNotModelled, "", Unit::kText, kAnyRange, "by_gpu",
       "Which of several paths a rank uses."},
      {"enable_blending", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "CacheBlend: reuse of text that is no prefix."},
      {"enable_p2p", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Chunks from other instances' DRAM."},
      {"enable_pd", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Prefill and decode on different replicas."},
      {"enable_controller", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Reports to a controller, which routers can ask."},
      {"gds_path", kNotModelled, "", Unit::kText, kAnyRange, "",
       "GPU direct storage: between GPU and files without DRAM."},
      {"weka_path", kNotModelled, "", Unit::kText, kAnyRange, "",
       "GPU direct storage: between GPU and files without DRAM."},
  };
}

Rows detail_rows() {
  return {
      {"priority_limit", kNotModelled, "", Unit::kInteger, kAnyRange, "",
       "Requests of lower priority are not stored."},
      {"pin_timeout_sec", kNotModelled, "", Unit::kSeconds, kAnyRange, "300",
       "When a forgotten lock is given up."},
      {"extra_config.force_store_wait", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Stores wait for DRAM instead of dropping chunks."},
      {"extra_config.save_only_first_rank", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "One rank stores for all, as with MLA."},
      {"extra_config.use_odirect", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "Files without the page cache."},
      {"extra_config.disk_io_threads", kNotModelled, "", Unit::kInteger, kAnyRange, "4",
       "Threads that write files."},
      {"store_location", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Stores go to one backend only."},
      {"retrieve_locations", kNotModelled, "", Unit::kText, kAnyRange, "",
       "Loads come from these backends only."},
      {"extra_config.enable_nixl_storage", kNotModelled, "", Unit::kFlag, kAnyRange, "false",
       "A NIXL backend."},
  };
}

constexpr std::array kPlainNames{"blend_recompute_ratios",
                                 "blend_thresholds",
                                 "blend_check_layers",
                                 "blend_min_tokens",
                                 "blend_special_str",
                                 "p2p_host",
                                 "p2p_init_ports",
                                 "p2p_lookup_ports",
                                 "lmcache_instance_id",
                                 "controller_url",
                                 "controller_pull_url",
                                 "controller_reply_url",
                                 "lmcache_worker_port",
                                 "lmcache_worker_ports",
                                 "lmcache_worker_ids",
                                 "lmcache_worker_heartbeat_delay_time",
                                 "lmcache_worker_heartbeat_time",
                                 "pd_role",
                                 "pd_buffer_size",
                                 "pd_buffer_device",
                                 "pd_peer_host",
                                 "pd_peer_init_port",
                                 "pd_peer_alloc_port",
                                 "pd_proxy_host",
                                 "pd_proxy_port",
                                 "transfer_channel",
                                 "enable_nixl",
                                 "nixl_role",
                                 "nixl_backends",
                                 "nixl_buffer_size",
                                 "nixl_buffer_device",
                                 "gds_backend",
                                 "gds_path_sharding",
                                 "gds_buffer_size",
                                 "use_gds",
                                 "cufile_buffer_size",
                                 "error_handling",
                                 "audit_actual_remote_url",
                                 "external_lookup_client",
                                 "py_enable_gc",
                                 "hit_miss_ratio",
                                 "internal_api_server_enabled",
                                 "internal_api_server_host",
                                 "internal_api_server_port_start",
                                 "internal_api_server_include_index_list",
                                 "internal_api_server_socket_path_prefix",
                                 "runtime_plugin_locations",
                                 "plugin_locations",
                                 "storage_plugins",
                                 "external_backends",
                                 "remote_storage_plugins",
                                 "lookup_server_worker_ids",
                                 "enable_scheduler_bypass_lookup",
                                 "script_allowed_imports",
                                 "enable_lazy_memory_allocator",
                                 "lazy_memory_initial_ratio",
                                 "lazy_memory_expand_trigger_ratio",
                                 "lazy_memory_step_ratio",
                                 "lazy_memory_safe_size",
                                 "enable_chunk_statistics",
                                 "enable_kv_events",
                                 "use_gpu_connector_v3",
                                 "pin_check_interval_sec",
                                 "remote_config_url",
                                 "app_id",
                                 "lookup_url",
                                 "distributed_url",
                                 "config_file",
                                 "log_level",
                                 "track_usage"};

Rows plain_rows() {
  Rows out;
  for (const char* name : kPlainNames)
    out.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Belongs to a feature that the model leaves out."});
  return out;
}

Rows server_rows() {
  return {
      {"chunk_size", kModelled, "/chunk_tokens", Unit::kInteger, Range{1, 1e6}, "256",
       "Tokens of a chunk: what is looked up, stored and moved as one."},
      {"l1_size_gb", kModelled, "/l1_bytes", Unit::kGibibytes, Range{0, 1e6}, "0",
       "GiB of pinned DRAM that all instances of the node share."},
      {"eviction_trigger_watermark", kModelled, "/eviction_trigger", Unit::kNumber, Range{0, 1},
       "0.8", "Share of that DRAM in use at which eviction starts."},
      {"eviction_ratio", kModelled, "/eviction_ratio", Unit::kNumber, Range{0, 1}, "0.2",
       "Share of what is allocated that one eviction frees."},
      {"eviction_policy", kModelled, "/eviction", Unit::kText, kAnyRange, "LRU",
       "Which chunks go first; the server demands it."},
      {"l2_adapter", kNotModelled, "", Unit::kText, kAnyRange, "",
       "A tier below DRAM: written in the background, read back during lookups."},
  };
}

Rows server_detail_rows() {
  return {
      {"max_workers", kNotModelled, "", Unit::kInteger, Range{1, 1e4}, "1",
       "Threads for GPU copies and for lookups."},
      {"max_gpu_workers", kNotModelled, "", Unit::kInteger, Range{1, 1e4}, "1",
       "Threads for GPU copies."},
      {"max_cpu_workers", kNotModelled, "", Unit::kInteger, Range{1, 1e4}, "1",
       "Threads for lookups."},
      {"hash_algorithm", kNotModelled, "", Unit::kText, kAnyRange, "blake3",
       "How keys are computed."},
      {"l1_init_size_gb", kNotModelled, "", Unit::kGibibytes, kAnyRange, "20",
       "DRAM pinned at once; the rest is pinned later, in the model before the start."},
      {"l1_use_lazy", kNotModelled, "", Unit::kText, kAnyRange, "",
       "DRAM is pinned as it is needed; in the model before the start."},
      {"l1_align_bytes", kNotModelled, "", Unit::kBytes, kAnyRange, "4096",
       "Rounding of chunk sizes, far below a chunk."},
      {"l1_read_ttl_seconds", kNotModelled, "", Unit::kSeconds, kAnyRange, "300",
       "When a forgotten lock is given up."},
      {"l1_write_ttl_seconds", kNotModelled, "", Unit::kSeconds, kAnyRange, "600",
       "When a forgotten lock is given up."},
      {"l2_store_policy", kNotModelled, "", Unit::kText, kAnyRange, "default",
       "Which lower tiers get a chunk."},
      {"l2_prefetch_policy", kNotModelled, "", Unit::kText, kAnyRange, "default",
       "What happens to chunks read from lower tiers."},
      {"l2_prefetch_max_in_flight", kNotModelled, "", Unit::kInteger, kAnyRange, "8",
       "Prefetches at once."},
      {"engine_type", kNotModelled, "", Unit::kText, kAnyRange, "default",
       "CacheBlend, or plain prefixes as in the model."},
      {"supported_transfer_mode", kNotModelled, "", Unit::kText, kAnyRange, "auto",
       "Who copies; the model has the server do it."},
      {"host", kNotModelled, "", Unit::kText, kAnyRange, "", "An address."},
      {"port", kNotModelled, "", Unit::kText, kAnyRange, "", "An address."},
      {"http_host", kNotModelled, "", Unit::kText, kAnyRange, "", "An address."},
      {"http_port", kNotModelled, "", Unit::kText, kAnyRange, "", "An address."},
  };
}

OptionTable joined(const char* system, const std::vector<Rows>& parts) {
  Rows all;
  for (const Rows& part : parts) all.insert(all.end(), part.begin(), part.end());
  return {system, all};
}

}  // namespace

const OptionTable& lmcache_table() {
  static const OptionTable table = joined(
      "LMCache", {modelled_rows(), ignored_rows(), feature_rows(), detail_rows(), plain_rows()});
  return table;
}

const OptionTable& lmcache_server_table() {
  static const OptionTable table =
      joined("the LMCache server", {server_rows(), server_detail_rows()});
  return table;
}

}  // namespace kvsim
