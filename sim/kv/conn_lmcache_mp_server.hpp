// An LMCache server (multiprocess mode, spec/lmcache.md section 8): one a node, shared by all vLLM
// instances on it. DRAM of its own (L1), stores below it (L2), and the copies to and from GPUs.
//
//   lookup    a CPU worker thread counts the leading chunks in L1 and locks them against eviction;
//             what L2 has behind them is fetched into L1 before the answer, and locked too
//   retrieve  a GPU worker thread submits a memcpy for each chunk into a buffer in HBM and one
//             scatter kernel for each batch of them; the copies run by themselves
//   store     the same outwards; chunks that find no memory are dropped; then, in the background,
//             every L2 gets them
//   eviction  once a second, where more than a share of L1 is allocated, a share of that goes
//
// Left out: fragmentation, lazy growth of L1, write locks that outlive their copy, the buffers in
// HBM, L2's own eviction (the store's) and transformations on the way to L2.
#pragma once

#include <deque>
#include <memory>
#include <unordered_set>

#include "sim/base/fields.hpp"
#include "sim/kv/chain_listener.hpp"
#include "sim/kv/conn_chunk_store.hpp"
#include "sim/kv/conn_chunked.hpp"
#include "sim/kv/host_pool.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

struct LmcacheL2Options {
  std::string store;
  ClientOptions client{8, true, Seconds(20e-6), Bandwidth(1e9), Bandwidth(1e9)};
  ChunkStoreOptions limits;
  template <class F>
  void fields(F& f) {
    f.required("store", store, "Name of a store.");
    f.optional("client", client, "Default: the RESP adapter's 8 threads; their CPU is assumed.");
    limits.fields(f);
  }
};

struct LmcacheMpOptions {
  Bytes l1{0};
  std::int64_t chunk_tokens = 256;
  Json eviction = "lru";
  double trigger = 0.8;
  double ratio = 0.2;
  Seconds period{1};
  Seconds read_ttl{300};
  std::vector<LmcacheL2Options> l2;
  std::int64_t prefetches = 8;
  Seconds notifier{5e-3};
  std::int64_t gpu_workers = 1;
  std::int64_t cpu_workers = 1;
  std::int64_t copy_batch = 4;
  bool save_decode = true;
  Seconds rpc{300e-6};
  Seconds lookup_chunk{5e-6};
  Seconds submit{20e-6};
  Seconds kernel{20e-6};

  template <class F>
  void fields(F& f) {
    f.required("l1_bytes", l1, Range{0, 1e15}, "Pinned DRAM of a node's server; 0 = no tier.");
    f.optional("chunk_tokens", chunk_tokens, Range{1, 1 << 20}, "Tokens of a chunk.");
    f.optional("eviction", eviction, "An eviction plug-in, for L1.");
    f.optional("eviction_trigger", trigger, Range{0.01, 1}, "Share of L1 allocated that evicts.");
    f.optional("eviction_ratio", ratio, Range{0.01, 1}, "Share of what is allocated that goes.");
    f.optional("eviction_period_s", period, Range{1e-6, 1e6}, "Between looks at the trigger.");
    f.optional("read_ttl_s", read_ttl, Range{1e-6, 1e9},
               "How long looked-up chunks are kept for a request that does not load them.");
    f.optional("l2", l2, "Stores below L1, first one first; two at most.");
    f.optional("prefetches", prefetches, Range{1, 1e6}, "Fetches from L2 at a time.");
    f.optional("notifier_s", notifier, Range{0, 1}, "Period of looking for fetches that ended.");
    f.optional("gpu_workers", gpu_workers, Range{1, 1024}, "Threads that submit copies.");
    f.optional("cpu_workers", cpu_workers, Range{1, 1024}, "Threads that look up.");
    f.optional("copy_batch_chunks", copy_batch, Range{1, 1024},
               "Chunks of a gather or scatter kernel. Default: assumed.");
    f.optional("save_decode_cache", save_decode, "Store generated tokens too.");
    f.optional("rpc_s", rpc, Range{0, 1},
               "Between vLLM and the server, a round trip. Default: assumed.");
    f.optional("lookup_chunk_s", lookup_chunk, Range{0, 1},
               "CPU of a lookup for each chunk, hashing included. Default: assumed.");
    f.optional("submit_s", submit, Range{0, 1},
               "CPU of submitting a chunk's copy. Default: assumed.");
    f.optional("kernel_s", kernel, Range{0, 1}, "Launching a gather or scatter. Default: assumed.");
  }
};

class LmcacheMpServer : public HostService {
 public:
  using Options = LmcacheMpOptions;
  // Of the first instance on the node: all have the same options.
  LmcacheMpServer(const Connector::Context& context, const Options& options);
  ~LmcacheMpServer() override;

  [[nodiscard]] Task lookup(std::shared_ptr<ChunkLookup> lookup);
  // Leading chunks of [first, end) into an instance's HBM: `ready` is the first that was not there.
  [[nodiscard]] Task retrieve(const Connector::Context& gpu, std::shared_ptr<ChunkLookup> lookup,
                              std::int64_t first, std::int64_t end, std::int64_t& ready);
  [[nodiscard]] Task store(const Connector::Context& gpu, std::vector<ChunkPart> chunks);
  void unlock(ChunkLookup& lookup);
  // One more who hears what comes into L1 and what goes. Not owned.
  void tell(BlockListener* listener) { told_.add(listener); }

  [[nodiscard]] std::vector<TierUse> tiers() const;
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct L2;
  struct Lock {
    Seconds until;
    std::weak_ptr<ChunkLookup> lookup;
  };

  [[nodiscard]] Bytes all_ranks(const ChunkPart& chunk) const { return chunk.bytes * parts_; }
  void lock(ChunkLookup& lookup, std::int64_t end);
  void expire_locks();
  [[nodiscard]] Task prefetch(L2& l2, std::shared_ptr<ChunkLookup> lookup, std::int64_t more,
                              std::int64_t& fetched);
  [[nodiscard]] Task next_tick(Seconds period);
  [[nodiscard]] Task copies(Lane& lane, const Connector::Context& gpu, std::size_t chunks,
                            Bytes each);
  [[nodiscard]] Task hand_down(std::vector<ChunkPart> chunks);
  [[nodiscard]] bool crowded() const {
    return pool_.used().real() / pool_.capacity().real() >= options_.trigger;
  }
  [[nodiscard]] bool reserve(Bytes bytes);
  void keep(const ChunkPart& chunk);
  void watch(bool short_of_room = false);
  [[nodiscard]] Task evict();

  Tasks& tasks_;
  Host& host_;
  Options options_;
  std::int64_t ranks_;  // that ask and copy
  std::int64_t parts_;  // of a chunk that are stored
  Bytes token_bytes_;
  ChainListener told_;
  HostPool pool_;
  Threads cpu_;
  Threads gpu_;
  Threads prefetches_;
  std::vector<std::unique_ptr<L2>> l2_;
  std::deque<Lock> locks_;                  // in order of time
  std::unordered_set<BlockHash> arriving_;  // being copied out of HBM
  bool evicting_ = false;
  std::int64_t dropped_tokens_ = 0;
};

}  // namespace kvsim
