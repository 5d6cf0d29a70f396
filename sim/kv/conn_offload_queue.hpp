// KV chunks that wait to be copied into a lower tier, in batches, a few copies at a time: lower
// priority values first, equal ones in order of asking (Dynamo KVBM's offload manager,
// spec/dynamo.md section 5). A chunk that waits already is not queued again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "sim/des/tasks.hpp"
#include "sim/des/waiting.hpp"
#include "sim/kv/chunk_keys.hpp"

namespace kvsim {

class OffloadQueue {
 public:
  struct Options {
    std::int64_t in_flight = 4;  // batches
    std::int64_t batch = 16;     // chunks
  };
  using Copy = std::function<Task(std::vector<ChunkPart>)>;
  // `copy` spends the time of one batch; the queue must outlive it.
  OffloadQueue(Tasks& tasks, const Options& options, Copy copy)
      : tasks_(tasks), options_(options), copy_(std::move(copy)) {}

  // `copied`, if any, counts down once for every chunk: when it was copied, or needs no copy.
  void add(const std::vector<ChunkPart>& chunks, std::int64_t priority,
           const std::shared_ptr<Countdown>& copied = nullptr) {
    for (const ChunkPart& chunk : chunks) {
      if (queued_.insert(chunk.key).second) {
        waiting_.insert({priority, ++last_, chunk, copied});
      } else if (copied) {
        copied->one_less();
      }
    }
    start();
  }

  // Drops what waits: it counts as copied.
  void clear() {
    for (const Waiting& one : waiting_)
      if (one.copied) one.copied->one_less();
    waiting_.clear();
    queued_.clear();
  }

 private:
  struct Waiting {
    std::int64_t priority;
    std::int64_t number;
    ChunkPart chunk;
    std::shared_ptr<Countdown> copied;
    bool operator<(const Waiting& other) const {
      return std::tie(priority, number) < std::tie(other.priority, other.number);
    }
  };

  void start() {
    while (copying_ < options_.in_flight && !waiting_.empty()) {
      std::vector<Waiting> batch;
      while (!waiting_.empty() && static_cast<std::int64_t>(batch.size()) < options_.batch) {
        batch.push_back(*waiting_.begin());
        waiting_.erase(waiting_.begin());
        queued_.erase(batch.back().chunk.key);
      }
      ++copying_;
      tasks_.start(copy(std::move(batch)));
    }
  }
  Task copy(std::vector<Waiting> batch) {
    std::vector<ChunkPart> chunks;
    for (const Waiting& one : batch) chunks.push_back(one.chunk);
    co_await copy_(std::move(chunks));
    for (const Waiting& one : batch)
      if (one.copied) one.copied->one_less();
    --copying_;
    start();
  }

  Tasks& tasks_;
  Options options_;
  Copy copy_;
  std::set<Waiting> waiting_;
  std::set<BlockHash> queued_;
  std::int64_t last_ = 0;
  std::int64_t copying_ = 0;
};

}  // namespace kvsim
