#include "tests/law/random_tiers.hpp"

namespace kvsim {

namespace {

bool flip(Rng& rng) { return rng.below(2) == 0; }

std::int64_t below(Rng& rng, std::int64_t bound) {
  return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(bound)));
}

struct World {
  Rng& rng;
  std::int64_t block_tokens;
  std::int64_t block_bytes;  // the largest LLM's
};

// --- stores ---

// Each dead or hung for a while, of the few seconds that a world lives.
Json outages(Rng& rng) {
  Json out = Json::array();
  double at = 0;
  for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
    at += rng.uniform(0.05, 1);
    const double length = rng.uniform(0.01, 0.8);
    out.push_back({{"at_s", at},
                   {"for_s", length},
                   {"kind", pick<const char*>(rng, {"dead", "hung"})},
                   {"restart", pick<const char*>(rng, {"warm", "cold"})}});
    at += length;
  }
  return out;
}

Json store(const World& world, const std::string& name) {
  Rng& rng = world.rng;
  const std::int64_t capacity =
      world.block_bytes * pick<std::int64_t>(rng, {1, 10, 100, 1000, 4000});
  Json out = {{"name", name},
              {"place", pick<const char*>(rng, {"each-node", "sharded", "dedicated"})}};
  if (out["place"] == "dedicated") out["node"] = "server";
  out["kind"] = pick<const char*>(rng, {"redis", "valkey", "kvrocks", "files", "mooncake"});
  if (out["kind"] == "files") {
    out["disk"] = "ssd";
    out["capacity_bytes"] = capacity;
    out["io"] = pick<const char*>(rng, {"direct", "buffered"});
    out["index"] = pick<const char*>(rng, {"files", "memory"});
    out["eviction"] = pick<const char*>(rng, {"none", "lru"});
  } else if (out["kind"] == "mooncake") {
    out["segment_bytes"] = capacity;
  } else if (out["kind"] == "kvrocks") {
    out["disk"] = "ssd";
    out["max_db_bytes"] = capacity;
    out["eviction"] = pick<const char*>(rng, {"none", "fifo", "lru"});
    out["workers"] = pick<std::int64_t>(rng, {1, 4});
    out["lsm"] = {{"write_buffer_bytes", 4 * world.block_bytes}};
  } else {
    out["maxmemory_bytes"] = capacity;
    out["maxmemory_policy"] = pick<const char*>(rng, {"noeviction", "allkeys-lru", "allkeys-lfu"});
    out["io_threads"] = pick<std::int64_t>(rng, {1, 4});
  }
  if (rng.below(3) == 0) out["outages"] = outages(rng);
  return out;
}

Json node(const char* name, std::int64_t gpus) {
  return {{"name", name},
          {"gpus", gpus},
          {"disks", {{{"name", "ssd"}, {"kind", "tmpfs"}, {"capacity_bytes", 1e12}}}}};
}

// --- connectors ---

Json native(const World& world) {
  Rng& rng = world.rng;
  return {{"kind", "native"},
          {"cpu_bytes", world.block_bytes * (1 + below(rng, 300))},
          {"blocks_per_chunk", pick<std::int64_t>(rng, {1, 1, 2, 4})},
          {"eviction", pick<const char*>(rng, {"lru", "arc"})},
          {"prompt_only", flip(rng)},
          {"deferred_stores", flip(rng)},
          {"ready_at_end", flip(rng)},
          {"scans_to_evict", flip(rng)}};
}

Json lmcache(const World& world) {
  Rng& rng = world.rng;
  const std::int64_t blocks = pick<std::int64_t>(rng, {1, 2, 4});
  Json out = {{"kind", "lmcache"},
              {"chunk_tokens", blocks * world.block_tokens},
              {"max_local_cpu_bytes", world.block_bytes * blocks * (1 + below(rng, 100))},
              {"local_cpu", flip(rng)},
              {"client", pick<const char*>(rng, {"redis", "resp"})},
              {"serde", pick<const char*>(rng, {"naive", "naive", "lz4", "cachegen"})},
              {"cache_policy", pick<const char*>(rng, {"lru", "lfu", "fifo", "arc"})},
              {"save_decode_cache", flip(rng)},
              {"min_retrieve_tokens", pick<std::int64_t>(rng, {0, 0, 100})},
              {"blocking_timeout_s", pick<double>(rng, {0.003, 0.1, 10, 10})},
              {"lookup_timeout_s", pick<double>(rng, {0.0005, 0.1, 3, 3})},
              {"reconnect_s", pick<double>(rng, {0, 0.05, 0.2, 10})},
              {"load_policy", pick<const char*>(rng, {"always", "always", "when-faster"})}};
  const std::string mode =
      pick<const char*>(rng, {"", "", "use_layerwise", "enable_async_loading"});
  if (mode.empty()) {
    out["save_unfull_chunk"] = flip(rng);
  } else {
    out[mode] = true;
  }
  if (rng.below(4) != 0) out["remote"] = "kv";
  if (rng.below(4) == 0) out["local_disk"] = "files";
  return out;
}

Json kvbm(const World& world) {
  Rng& rng = world.rng;
  Json out = {{"kind", "kvbm"},
              {"cpu_bytes", world.block_bytes * (1 + below(rng, 300))},
              {"eviction", pick<const char*>(rng, {"lru", "lfu", "fifo", "arc"})},
              {"disk_filter", flip(rng)},
              {"filter_period_s", pick<double>(rng, {0.5, 600})},
              {"gpu_direct", flip(rng)},
              {"transfers", pick<std::int64_t>(rng, {1, 4})},
              {"transfer_blocks", pick<std::int64_t>(rng, {1, 16})}};
  if (flip(rng)) out["disk"] = "ssd";
  if (out.contains("disk")) out["disk_bytes"] = world.block_bytes * (1 + below(rng, 1000));
  if (flip(rng)) out["remote"] = "kv";
  return out;
}

Json lmcache_mp(const World& world) {
  Rng& rng = world.rng;
  const std::int64_t blocks = pick<std::int64_t>(rng, {1, 2, 4});
  Json out = {{"kind", "lmcache-mp"},
              {"chunk_tokens", blocks * world.block_tokens},
              {"l1_bytes", world.block_bytes * blocks * (1 + below(rng, 100))},
              {"eviction", pick<const char*>(rng, {"lru", "lfu", "fifo", "arc"})},
              {"eviction_period_s", pick<double>(rng, {0.001, 0.1, 1})},
              {"read_ttl_s", pick<double>(rng, {0.01, 1, 300})},
              {"prefetches", pick<std::int64_t>(rng, {1, 8})},
              {"save_decode_cache", flip(rng)}};
  const Json kv = {{"store", "kv"},
                   {"timeout_s", pick<double>(rng, {0.003, 0.1, 10})},
                   {"lookup_timeout_s", pick<double>(rng, {0.0005, 0.1, 3})},
                   {"reconnect_s", pick<double>(rng, {0, 0.05, 10})}};
  if (rng.below(3) != 0) out["l2"].push_back(kv);
  if (rng.below(3) == 0) out["l2"].push_back({{"store", "files"}});
  return out;
}

Json gateway(const World& world) {
  Rng& rng = world.rng;
  const std::int64_t blocks = pick<std::int64_t>(rng, {1, 2, 4});
  return {{"kind", "gateway"},
          {"store", "kv"},
          {"chunk_tokens", blocks * world.block_tokens},
          {"staging_bytes", world.block_bytes * blocks * (1 + below(rng, 100))},
          {"in_step", flip(rng)},
          {"save_decode_cache", flip(rng)},
          {"serde", pick<const char*>(rng, {"naive", "zstd-1", "int8-pack"})},
          {"timeout_s", pick<double>(rng, {0.003, 0.1, 10})},
          {"lookup_timeout_s", pick<double>(rng, {0.0005, 0.1, 3})},
          {"gateway",
           {{"mode", pick<const char*>(rng, {"multi-get", "threads"})},
            {"threads", pick<std::int64_t>(rng, {1, 8})},
            {"batch_keys", pick<std::int64_t>(rng, {0, 3})}}}};
}

Json native_on_tiers(const World& world) {
  Json out = native(world);
  out["secondary"] = {{{"store", "kv"}, {"timeout_s", 0.1}}, {{"store", "files"}}};
  return out;
}

Json hicache(const World& world) {
  Rng& rng = world.rng;
  Json out = {
      {"kind", "hicache"},
      {"size_bytes", world.block_bytes * (1 + below(rng, 300))},
      {"write_policy",
       pick<const char*>(rng, {"write_through", "write_through_selective", "write_back"})},
      {"prefetch_policy", pick<const char*>(rng, {"timeout", "best_effort", "wait_complete"})},
      {"prefetch_tokens", pick<std::int64_t>(rng, {16, 64, 256})},
      {"prefetch_timeout_base_s", pick<double>(rng, {0, 0.01, 2})},
      {"batch_pages", pick<std::int64_t>(rng, {1, 2, 128})},
      {"lookup_timeout_s", pick<double>(rng, {0.01, 3})},
      {"timeout_s", pick<double>(rng, {0.01, 10})},
      {"reconnect_s", pick<double>(rng, {0, 0.2, 10})}};
  if (rng.below(4) != 0) out["storage"] = "kv";
  return out;
}

Json trtllm_host(const World& world) {
  Rng& rng = world.rng;
  return {{"kind", "trtllm-host"},
          {"host_cache_bytes", world.block_bytes * (1 + below(rng, 300))},
          {"prompt_priority", pick<std::int64_t>(rng, {20, 35, 35})},
          {"decode_priority", pick<std::int64_t>(rng, {20, 35, 50})}};
}

}  // namespace

void add_random_tiers(Json& experiment, Rng& rng) {
  Json& pool = experiment["pools"][0];
  const std::int64_t block_tokens = pool["engine"]["block_size"].get<std::int64_t>();
  const World world{rng, block_tokens, 131072 * block_tokens};
  using Make = Json (*)(const World&);
  const Make make = pick<Make>(rng, {nullptr, native, lmcache, lmcache, kvbm, lmcache_mp, gateway,
                                     native_on_tiers, hicache, trtllm_host});
  if (make == nullptr) return;
  pool["connector"] = make(world);
  pool["tensor_parallel"] = pick<std::int64_t>(rng, {1, 1, 2});
  experiment["nodes"] = {node("node", pick<std::int64_t>(rng, {2, 8})), node("server", 1)};
  experiment["stores"] = {store(world, "kv"), store(world, "files")};
  experiment["stores"][1]["place"] = "each-node";
  experiment["stores"][1].erase("node");
}

}  // namespace kvsim
