// The engine's side of a connector whose tiers keep chunks: what is looked up for whom, what is
// loaded and stored when, which blocks a store still reads. What finds, brings and saves chunks is
// a subclass's.
//
//   of its own time   a lookup holds nobody up; a load waits for no step, its request waits outside
//                     the batch; a store leaves when its step has ended, and the blocks of requests
//                     that end meanwhile are kept until it is done
//   in the step       the scheduler waits for a lookup, the batch for loads and stores
//
// Sources: spec/vllm.md section 8, spec/lmcache.md sections 3 and 8.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "sim/des/tasks.hpp"
#include "sim/kv/chunk_keys.hpp"
#include "sim/kv/connector.hpp"

namespace kvsim {

// What is known of a request's chunks, from its lookup until it leaves or has loaded them.
struct ChunkLookup {
  std::vector<ChunkPart> chunks;  // of all its tokens that are known
  // How many of them each tier has, one tier after the other from the first chunk on.
  std::array<std::int64_t, kLowerTiers> by_tier{};
  std::int64_t held = 0;  // leading ones that a tier keeps for it
  bool gone = false;      // it has left: whoever works for it may stop
};

class ChunkedConnector : public Connector {
 public:
  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override;
  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override;
  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override;
  void allocated(std::span<const BlockId>, std::int64_t) override {}
  bool stores_generated() const override { return protocol_.store_generated; }
  void step_begins(std::int64_t done) override;
  bool storing() const override;
  bool hold_begin(std::int64_t step, std::function<void()> resume) override;
  bool hold_end(std::int64_t step, std::function<void()> resume) override;
  bool holds(KvSequence& sequence, std::function<void()> release_later) override;
  void crashed() override {
    for (Save& save : saves_) save.chunks.clear();
  }

 protected:
  struct Protocol {
    bool off = false;  // no tier has any room
    bool in_step = false;
    bool store_generated = false;
    bool load_preempted = true;
  };
  struct Brought {
    std::int64_t ready = 0;  // all wanted chunks before this one are in HBM
    StageTimes times;
  };
  ChunkedConnector(const Context& context, std::int64_t chunk_tokens, const Protocol& protocol)
      : context_(context), keys_(context, chunk_tokens), protocol_(protocol) {}

  // Fills in by_tier, and keeps what it finds for the request.
  [[nodiscard]] virtual Task find(std::shared_ptr<ChunkLookup> lookup) = 0;
  // Chunks [first, end) of those found into HBM; nothing is kept for the request any more.
  [[nodiscard]] virtual Task bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t first,
                                   std::int64_t end, Brought& brought) = 0;
  // Nothing is kept for the request any more. Called for each lookup that brings nothing; again:
  // does nothing.
  virtual void let_go(ChunkLookup& lookup) = 0;
  // Comes back when the chunks' blocks may be overwritten; what follows goes on by itself.
  [[nodiscard]] virtual Task save(std::vector<ChunkPart> chunks) = 0;

  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] Tasks& tasks() const { return context_.tasks; }
  [[nodiscard]] const ChunkKeys& keys() const { return keys_; }
  [[nodiscard]] std::int64_t tokens_of(Bytes one_rank) const {
    return one_rank / (context_.block_bytes / context_.block_tokens);
  }

 private:
  // One stay of a request in the engine, until it ends or is preempted.
  struct Visit {
    KvSequence* sequence = nullptr;
    std::int64_t serial = 0;
    std::shared_ptr<ChunkLookup> lookup;
    bool answered = false;
    std::int64_t stored = 0;  // leading tokens that need no storing
  };
  struct Load {
    std::int64_t step;
    KvSequence* sequence;
    std::shared_ptr<ChunkLookup> lookup;
    std::int64_t from;
    std::int64_t to;
  };
  struct Save {
    std::int64_t step;
    std::int64_t serial;  // of the visit
    std::vector<ChunkPart> chunks;
  };
  // Stores of one visit that are planned or under way, and what waits for them.
  struct Saving {
    std::int64_t left = 0;
    std::function<void()> release;
  };

  Visit& visit_of(const KvSequence& sequence);
  Match found(Visit& visit, std::int64_t local_tokens, std::int64_t limit_tokens);
  Task look_up(std::int64_t number, std::shared_ptr<ChunkLookup> lookup);
  Task run_load(Load load);  // whose sequence stays meanwhile
  Task load_in_turn(std::vector<Load> loads, std::function<void()> resume);
  Task run_save(Save save);
  Task save_in_step(std::vector<Save> saves, std::function<void()> resume);
  void saved(std::int64_t serial);

  Context context_;
  ChunkKeys keys_;
  Protocol protocol_;
  std::unordered_map<std::int64_t, Visit> visits_;  // by number of the request
  std::int64_t last_visit_ = 0;
  std::deque<Load> loads_;                           // in the step: planned
  std::deque<Save> saves_;                           // planned
  std::unordered_map<std::int64_t, Saving> saving_;  // by serial of the visit
};

}  // namespace kvsim
