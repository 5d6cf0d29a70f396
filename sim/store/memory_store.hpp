// Redis and Valkey: values in DRAM, one thread that executes, optionally threads for the sockets.
//
// Source: spec/lmcache.md section 5, Redis documentation ("Key eviction", "Memory optimization"),
// jemalloc(3) for what an allocation takes: four size classes a doubling, so that a value of a
// power of two, with its header, takes a quarter more. What does not fit evicts by maxmemory_policy
// or is refused.
// Left out: persistence, replicas, expiry, defragmentation, the time to free a large value. A value
// larger than maxmemory is refused at once; the real one evicts all keys first.
#pragma once

#include "sim/des/waiting.hpp"
#include "sim/store/event_loop.hpp"
#include "sim/store/resp_server.hpp"
#include "sim/store/sampled_keys.hpp"
#include "sim/store/store_base.hpp"

namespace kvsim {

struct MemoryStoreOptions {
  Bytes maxmemory{0};
  std::string policy = "noeviction";
  std::int64_t samples = 5;
  std::int64_t io_threads = 1;
  std::string allocator = "jemalloc";
  Bytes entry_overhead{200};
  RespOptions resp;
  OutageOptions outages;
  template <class F>
  void fields(F& f) {
    f.required("maxmemory_bytes", maxmemory, Range{1, 1e15},
               "What keys and values may take; the shipped default, no limit, ends in the host's "
               "DRAM, so state one.");
    f.choice("maxmemory_policy", policy,
             {"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru",
              "volatile-lfu", "volatile-random", "volatile-ttl"},
             "Which keys go; volatile-* is noeviction here, as no key has a time to live.");
    f.optional("maxmemory_samples", samples, Range{1, 64}, "Keys looked at to evict one.");
    f.optional("io_threads", io_threads, Range{1, 128},
               "Threads in all; above 1, the others do the sockets and the first one executes.");
    f.choice("allocator", allocator, {"jemalloc", "exact"},
             "Values take whole size classes, or just their bytes.");
    f.optional("entry_overhead_bytes", entry_overhead, Range{0, 1e6},
               "Key, object and hash table entry. Default: assumed.");
    resp.fields(f);
    outages.fields(f);
  }
};

// What an allocation of n bytes takes: the next of four classes a doubling (from 64 bytes on).
Bytes jemalloc_size(Bytes bytes);

class MemoryStore : public StoreBase {
 public:
  using Options = MemoryStoreOptions;
  MemoryStore(const Options& options, const Context& context);

  [[nodiscard]] bool contains(StoreKey key) const override { return keys_.find(key) != nullptr; }
  bool preload(StoreKey key, Bytes bytes) override;
  void restart(bool warm) override;
  [[nodiscard]] bool speaks_resp() const override { return true; }
  [[nodiscard]] Bytes dram() const override { return options_.maxmemory; }
  [[nodiscard]] Seconds estimate_get(Bytes bytes) const override;
  [[nodiscard]] StoreUse use() const override;
  [[nodiscard]] bool streams() const override { return options_.io_threads == 1; }
  [[nodiscard]] std::vector<ResourceUse> resources() const override;

 private:
  [[nodiscard]] Task run(Command& command) override;
  [[nodiscard]] Task on_one_thread(Command& command);
  [[nodiscard]] Task take_in(Command& command);
  [[nodiscard]] Task send_out(Command& command);
  [[nodiscard]] Task on_io_threads(Command& command);
  // What it does, in no time.
  void execute(Command& command);
  [[nodiscard]] bool put(StoreKey key, Bytes bytes);
  [[nodiscard]] Bytes memory_of(Bytes value) const;
  // What is read of a SET's value: one that is too long is refused by its header.
  [[nodiscard]] Bytes readable(Bytes value) const {
    return value <= options_.resp.max_value ? value : Bytes(0);
  }

  Options options_;
  RespServer server_;
  SampledKeys keys_;
  EventLoop loop_;  // the one thread, which serves in turns
  Threads main_;    // where other threads do the sockets
  Threads io_;
};

}  // namespace kvsim
