// Chunks in a store, one key for each chunk and tensor-parallel rank, as a client sees them that
// has several commands under way: batched existence checks, gets and puts.
//
// What takes too long or fails is a miss; after that the store is held unhealthy for a while and
// not asked. Memory for the chunks is the caller's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/des/waiting.hpp"
#include "sim/kv/chunk_keys.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

struct ChunkStoreOptions {
  std::int64_t ranks = 1;  // keys for each chunk
  double ratio = 1;        // bytes in HBM per byte stored
  Seconds timeout{10};
  Seconds lookup_timeout{3};
  Seconds reconnect{10};

  template <class F>
  void fields(F& f) {
    f.optional("timeout_s", timeout, Range{1e-6, 1e6},
               "Longest wait for the next answer of a batch. Default: LMCache's in-process one.");
    f.optional("lookup_timeout_s", lookup_timeout, Range{1e-6, 1e6}, "The same, of a lookup.");
    f.optional("reconnect_s", reconnect, Range{0, 1e6},
               "A store that failed is not asked for so long.");
  }
};

class ChunkStore {
 public:
  // Carries out commands that travel together, and leaves their answers.
  using Carrier = std::function<Task(std::vector<Command>&)>;
  struct Way {
    Carrier carry;
    std::int64_t in_flight = 1;  // carried at a time
    std::int64_t together = 1;   // commands, at most
  };
  // `reads`: lookups and gets.
  ChunkStore(Tasks& tasks, const std::string& name, const ChunkStoreOptions& options, Way reads,
             Way writes);

  // How many of the leading chunks are there, with all ranks' parts.
  [[nodiscard]] Task lookup(std::vector<ChunkPart> chunks, std::int64_t& found);
  // How many of the leading chunks came.
  [[nodiscard]] Task fetch(std::vector<ChunkPart> chunks, std::int64_t& fetched, StageTimes& times);
  // Comes back when all are stored, or nothing more is expected.
  [[nodiscard]] Task put(std::vector<ChunkPart> chunks);

  [[nodiscard]] bool healthy() const { return tasks_.now() >= unhealthy_until_; }
  [[nodiscard]] Bytes stored() const { return stored_; }
  [[nodiscard]] std::int64_t failed() const { return failed_; }
  [[nodiscard]] std::int64_t bypassed() const { return bypassed_; }

 private:
  struct Batch;
  struct Lane {
    Way way;
    std::unique_ptr<Threads> slots;
  };

  [[nodiscard]] bool bypass();
  std::shared_ptr<Batch> begin(Verb verb, const std::vector<ChunkPart>& chunks, Lane& lane);
  [[nodiscard]] Task carry(Lane& lane, std::shared_ptr<Batch> batch, std::size_t group);
  [[nodiscard]] Task finish(std::shared_ptr<Batch> batch, Seconds timeout);
  // Leading chunks all of whose parts have that answer.
  [[nodiscard]] std::int64_t leading(const Batch& batch, Answer answer) const;
  void fail();

  Tasks& tasks_;
  ChunkStoreOptions options_;
  Lane reads_;
  Lane writes_;
  Seconds unhealthy_until_{0};
  Bytes stored_{0};
  std::int64_t failed_ = 0;
  std::int64_t bypassed_ = 0;
};

}  // namespace kvsim
