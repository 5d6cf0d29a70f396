// Tiers below vLLM's DRAM tier (spec/vllm.md section 9, multi-tier offload): DRAM is the gateway.
//
//   store    every chunk that reaches DRAM goes on to all of them, and stays until it is there
//   lookup   chunks behind those in DRAM are looked for here and fetched into DRAM first; the
//            request is tried again when they are there, and then loads from DRAM alone
//
// One key for each chunk and rank. Its file system tier is a store of kind "files". Left out:
// object stores and peers; when a fetch into DRAM finds no room, it is a miss.
#pragma once

#include <memory>
#include <unordered_map>

#include "sim/kv/conn_chunk_store.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_cache.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

struct SecondaryTierOptions {
  std::string store;
  ClientOptions client{16, true, Seconds(0), Bandwidth(0), Bandwidth(0)};
  std::int64_t write_threads = 16;
  ChunkStoreOptions limits;
  template <class F>
  void fields(F& f) {
    f.required("store", store, "Name of a store.");
    f.optional("client", client, "Who reads. Default: 16 threads whose CPU is the store's.");
    f.optional("write_threads", write_threads, Range{1, 1024}, "Who writes, at the same costs.");
    limits.fields(f);
  }
};

class SecondaryTiers {
 public:
  // What a request gains from these tiers.
  struct Promotion {
    std::int64_t first = 0;                           // chunk of the request
    std::array<std::int64_t, kLowerTiers> by_tier{};  // chunks fetched, one tier after the other
    bool done = false;
    KvSequence* sequence = nullptr;  // until it leaves
  };

  // ConfigError for too many of them. `chunk`: one rank's part. Both outlive this.
  SecondaryTiers(const Connector::Context& context, const std::vector<SecondaryTierOptions>& tiers,
                 Bytes chunk, HostCache& cache);
  ~SecondaryTiers();

  // Chunks that have just reached DRAM; those that a crash has taken since are skipped.
  void store(std::vector<BlockHash> chunks);
  // The first time for a request: looks for its chunks from number `first` on, none of which is in
  // DRAM. nullptr while that goes on; Context::changed is called at its end.
  const Promotion* promote(const KvSequence& sequence, std::int64_t first,
                           std::vector<BlockHash> chunks);
  // The request leaves.
  void forget(const KvSequence& sequence);

  [[nodiscard]] std::vector<TierUse> tiers() const;
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct Tier;
  [[nodiscard]] std::vector<ChunkPart> parts(std::span<const BlockHash> chunks) const;
  [[nodiscard]] Task put(Tier& tier, std::vector<BlockHash> chunks);
  [[nodiscard]] Task run(std::shared_ptr<Promotion> promotion, std::vector<BlockHash> chunks);
  [[nodiscard]] Task fetch(Tier& tier, std::vector<BlockHash> chunks, std::int64_t& fetched);

  Tasks& tasks_;
  HostCache& cache_;
  std::function<void()> changed_;
  std::uint64_t salt_;
  Bytes chunk_;
  std::int64_t tokens_;  // of a chunk
  std::vector<std::unique_ptr<Tier>> tiers_;
  std::unordered_map<std::int64_t, std::shared_ptr<Promotion>> promotions_;  // by request
};

}  // namespace kvsim
