// What LMCache's configuration says, and what the spec leaves open as parameters
// (spec/lmcache.md section 1; names as there, sizes in bytes, times in seconds).
#pragma once

#include <fmt/format.h>

#include <string>

#include "sim/base/errors.hpp"
#include "sim/base/fields.hpp"
#include "sim/kv/conn_lmcache_backend.hpp"

namespace kvsim {

struct LmcacheOptions {
  std::int64_t chunk_tokens = 256;
  bool local_cpu = true;
  Bytes max_local_cpu{5'000'000'000};
  std::string local_disk;
  std::string remote;
  std::string client = "redis";
  std::optional<ClientOptions> client_costs;
  Json serde = "naive";
  Json cache_policy = "lru";
  bool use_layerwise = false;
  bool save_decode_cache = false;
  bool save_unfull_chunk = false;
  bool enable_async_loading = false;
  bool same_hashes = true;
  std::int64_t min_retrieve_tokens = 0;
  Seconds blocking_timeout{10};
  Seconds lookup_timeout{3};
  Seconds reconnect{10};
  std::string load_policy = "always";
  Seconds skip_write_above{0};
  Seconds lookup_rpc{300e-6};
  double load_efficiency = 0.75;
  Seconds kernel{20e-6};
  Seconds sync{20e-6};

  template <class F>
  void fields(F& f) {
    f.optional("chunk_tokens", chunk_tokens, Range{1, 1 << 20}, "Tokens of a chunk.");
    f.optional("local_cpu", local_cpu, "DRAM is a tier; false: it is only a staging buffer.");
    f.optional("max_local_cpu_bytes", max_local_cpu, Range{1, 1e15},
               "Pinned memory of one tensor-parallel rank.");
    f.optional("local_disk", local_disk, "Name of a file store: one file a chunk.");
    f.optional("remote", remote, "Name of a store.");
    f.choice("client", client, {"redis", "resp"},
             "redis: one asyncio thread, two keys a chunk, four at a time; resp: eight threads, "
             "one key.");
    f.optional("client_costs", client_costs, "CPU of the client. Default: assumed, by client.");
    f.optional("serde", serde, "A codec plug-in.");
    f.optional("cache_policy", cache_policy, "An eviction plug-in, for DRAM.");
    f.optional("use_layerwise", use_layerwise, "Values by layer; loads overlap with computing.");
    f.optional("save_decode_cache", save_decode_cache, "Save generated tokens too.");
    f.optional("save_unfull_chunk", save_unfull_chunk,
               "Save a prompt's last, partial chunk under a key of its own.");
    f.optional("enable_async_loading", enable_async_loading,
               "The scheduler does not wait; lower tiers are read into DRAM before admission.");
    f.optional("same_hashes", same_hashes,
               "Scheduler and workers hash alike. Not so with several tensor-parallel ranks, "
               "builtin hashes and no PYTHONHASHSEED: chunks are stored, and none is found "
               "(LMCache/LMCache#1739).");
    f.optional("min_retrieve_tokens", min_retrieve_tokens, Range{0, 1e9}, "Load no less.");
    f.optional("blocking_timeout_s", blocking_timeout, Range{1e-6, 1e6}, "For each chunk.");
    f.optional("lookup_timeout_s", lookup_timeout, Range{1e-6, 1e6}, "Then it is a miss.");
    f.optional("reconnect_s", reconnect, Range{0, 1e6},
               "A store that failed is not asked for so long.");
    f.choice("load_policy", load_policy, {"always", "when-faster"},
             "when-faster: only when fetching is predicted to beat recomputing.");
    f.optional(
        "skip_write_above_s", skip_write_above, Range{0, 1e6},
        "Chunks are not written to a tier whose oldest operation under way has taken longer; "
        "0 = always written, as the real one does.");
    f.optional("lookup_rpc_s", lookup_rpc, Range{0, 1},
               "Between scheduler and worker, a round trip. Default: assumed.");
    f.optional("load_efficiency", load_efficiency, Range{0.01, 1},
               "Of the host link's rate, when kernels read pinned memory. Default: assumed.");
    f.optional("kernel_s", kernel, Range{0, 1}, "Launching a gather or scatter. Default: assumed.");
    f.optional("sync_s", sync, Range{0, 1}, "Waiting for a stream, per chunk. Default: assumed.");
  }

  // Asynchronous and layerwise loading force it off, as in the real one.
  [[nodiscard]] bool saves_unfull_chunks() const {
    return save_unfull_chunk && !enable_async_loading && !use_layerwise;
  }

  void check(std::int64_t block_tokens) const {
    if (chunk_tokens % block_tokens == 0) return;
    throw ConfigError(fmt::format("chunk_tokens: found {}; allowed: a multiple of the engine's {}",
                                  chunk_tokens, block_tokens));
  }

  // redis://: asyncio in the worker process. resp://: native threads.
  LmcacheBackend::Options remote_backend() const {
    LmcacheBackend::Options out = backend(remote);
    const bool resp = client == "resp";
    out.two_keys = !resp;
    out.workers = resp ? 8 : 4;
    // redis: measured: CPU time of a client process, redis-py 8.1 asyncio with hiredis,
    // Python 3.11, values of 32 to 128 MiB, four at a time, on a core that copies 7.6 GB/s: 0.34 to
    // 0.50 GB/s received; 3.0 to 3.5 GB/s sent where a value leaves without asyncio's buffer copies
    // (up to 1 MiB there; any size since Python 3.12, which keeps views of what it sends), 0.4 to
    // 0.7 GB/s with them; 63 us a command. (The spec's guess is 1 to 2 GB/s both ways.)
    //
    // resp: 8 threads gave 5.2 to 5.9 GB/s of GETs of 1 to 4 MB and 143,000 EXISTS a second
    // (spec/lmcache.md section 5).
    out.client = resp ? ClientOptions{8, true, Seconds(20e-6), Bandwidth(1e9), Bandwidth(1e9)}
                      : ClientOptions{1, false, Seconds(63e-6), Bandwidth(0.45e9), Bandwidth(3e9)};
    if (client_costs) out.client = *client_costs;
    return out;
  }
  // Chunk after chunk in the calling thread; writes by four threads.
  LmcacheBackend::Options disk_backend() const {
    LmcacheBackend::Options out = backend(local_disk);
    out.two_keys = false;
    out.workers = 1;
    out.client = {4, true, Seconds(10e-6), Bandwidth(0), Bandwidth(0)};
    return out;
  }

 private:
  LmcacheBackend::Options backend(const std::string& store) const {
    LmcacheBackend::Options out;
    out.store = store;
    out.blocking_timeout = blocking_timeout;
    out.lookup_timeout = lookup_timeout;
    out.reconnect = reconnect;
    return out;
  }
};

}  // namespace kvsim
