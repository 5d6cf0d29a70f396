// A tier of LMCache below DRAM as a worker process runs it (spec/lmcache.md section 5): for
// redis:// one asyncio thread, a queue of jobs by priority drained by four workers, two keys a
// chunk.
//
//   exists: EXISTS <key>metadata, chunk after chunk until one is missing
//   get:    GET metadata, allocate, GET kv_bytes, copy into the pinned buffer
//   put:    SET kv_bytes, SET metadata; all chunks of a store are one job
//
// Every tensor-parallel rank is such a process with keys of its own, so a chunk is there when all
// ranks have theirs. What takes too long or fails is a miss; after a failure the store is held
// unhealthy for a while and not asked.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "sim/kv/chunk_keys.hpp"
#include "sim/kv/codec.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_pool.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

class LmcacheBackend {
 public:
  struct Options {
    std::string store;
    ClientOptions client;
    bool two_keys = true;      // metadata beside the bytes
    std::int64_t workers = 4;  // jobs at a time
    std::int64_t connections = 150;
    Seconds blocking_timeout{10};
    Seconds lookup_timeout{3};
    Seconds reconnect{10};
  };
  LmcacheBackend(const Connector::Context& context, const Options& options, const Codec& codec,
                 HostPool& pool);

  // How many of the leading chunks every rank finds; 0 when it takes too long.
  [[nodiscard]] Task lookup(std::vector<ChunkPart> chunks, std::int64_t& found);
  // Brings chunks into pinned memory, which it reserves: `fetched` counts the leading ones that
  // came (their memory is the caller's); the memory of the others is given back.
  [[nodiscard]] Task fetch(std::vector<ChunkPart> chunks, std::int64_t& fetched, StageTimes& times);
  // In the background; `done` is called when the memory of the chunks may go.
  void put(std::vector<ChunkPart> chunks, std::function<void()> done);

  // Of a fetch on an idle system: as many chunks at a time as jobs and threads allow.
  [[nodiscard]] Seconds estimate(std::int64_t chunks, Bytes each) const;
  // Whether all ranks' parts are in the store now, by the store itself: costs no time.
  [[nodiscard]] bool holds(BlockHash key) const;
  // How long the oldest get or put under way has taken by now: what comes next may wait as long.
  [[nodiscard]] Seconds waiting() const;
  [[nodiscard]] bool healthy() const { return tasks_.now() >= unhealthy_until_; }
  [[nodiscard]] Bytes stored() const { return stored_; }
  [[nodiscard]] std::int64_t failed() const { return failed_; }
  [[nodiscard]] std::int64_t bypassed() const { return bypassed_; }
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  enum Urgency { kPeek, kGet, kPut };  // of the jobs in a worker process
  struct Rank {
    Rank(const Connector::Context& context, const Options& options, const StoreRoute& route,
         std::int32_t number);
    StoreKey salt;
    std::unique_ptr<StoreClient> client;
    std::unique_ptr<Threads> jobs;
    std::unique_ptr<Threads> connections;
  };
  struct Get;
  struct Peek;

  [[nodiscard]] Task peek(Rank& rank, std::shared_ptr<Peek> peek);
  [[nodiscard]] Task get(Rank& rank, std::shared_ptr<Get> get);
  [[nodiscard]] Task get_value(Rank& rank, std::shared_ptr<Get> get);
  [[nodiscard]] Task allocate(Rank& rank, std::shared_ptr<Get> get);
  [[nodiscard]] Task code(Rank& rank, const char* way, Bandwidth rate, Bytes bytes,
                          StageTimes& times);
  [[nodiscard]] Task put_all(std::vector<ChunkPart> chunks, std::function<void()> done);
  [[nodiscard]] Task put_batch(Rank& rank, const std::vector<ChunkPart>& chunks, Countdown& left);
  [[nodiscard]] Task put_chunk(Rank& rank, ChunkPart chunk, Countdown& left);
  [[nodiscard]] Command command(Verb verb, const Rank& rank, BlockHash key, std::uint64_t part,
                                Bytes bytes) const;
  void fail();

  Tasks& tasks_;
  Host& host_;
  Options options_;
  const StoreRoute& route_;
  const Codec& codec_;
  HostPool& pool_;
  std::vector<Rank> ranks_;
  std::multiset<Seconds> under_way_;  // when gets and puts began
  Seconds unhealthy_until_{0};
  Bytes stored_{0};
  std::int64_t failed_ = 0;
  std::int64_t bypassed_ = 0;
};

}  // namespace kvsim
