// LMCache in vLLM's worker processes: what it knows of requests, and what is under way. The model,
// its source and what it leaves out: conn_lmcache.cpp, the only file besides conn_lmcache_moves.cpp
// (loads and stores) that includes this.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/kv/codec.hpp"
#include "sim/kv/conn_lmcache_backend.hpp"
#include "sim/kv/conn_lmcache_options.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_pool.hpp"
#include "sim/kv/lmcache_chunks.hpp"

namespace kvsim {

class Lmcache final : public Connector {
 public:
  using Options = LmcacheOptions;

  Lmcache(const Options& options, const Context& context);

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override;
  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override;
  bool hold_begin(std::int64_t step, std::function<void()> resume) override;
  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override;
  bool hold_end(std::int64_t step, std::function<void()> resume) override;
  bool storing() const override {
    return !saves_.empty() || !loads_.empty() || overlap_ != nullptr;
  }
  bool stores_generated() const override { return options_.save_decode_cache; }
  void allocated(std::span<const BlockId>, std::int64_t) override {}
  void step_begins(std::int64_t) override {}

  bool holds(KvSequence& sequence, std::function<void()>) override;
  std::vector<TierUse> tiers() const override;
  Bytes dram() const override { return options_.max_local_cpu * context_.ranks; }
  std::vector<std::string> warnings() const override;
  std::vector<ResourceUse> resources() const override;
  // DRAM: an entry is a chunk; the prompt's last tokens, where they are one, are told too.
  void add_listener(std::size_t tier, BlockListener* listener) override {
    if (told_blocks(tier) > 0) pool_.add_listener(listener);
  }
  std::int64_t stored_blocks() const override {
    return lower_.empty() ? 0 : options_.chunk_tokens / context_.block_tokens;
  }
  Seconds estimate_fetch(std::size_t tier, Bytes bytes) const override;
  std::int64_t told_blocks(std::size_t tier) const override {
    return tier == 0 && options_.local_cpu ? options_.chunk_tokens / context_.block_tokens : 0;
  }
  void crashed() override;

 private:
  // What is known of a request since it was first asked for.
  struct Visit {
    KvSequence* sequence = nullptr;
    std::int64_t serial = 0;  // tells visits of one request apart
    bool asked = false;
    bool answered = false;
    std::vector<ChunkPart> chunks;  // of its prompt
    // How many of them each tier holds: first DRAM, then the tiers below, one after the other.
    std::array<std::int64_t, kLowerTiers> by_tier{};
    std::int64_t pinned = 0;  // leading chunks that are pinned in DRAM
    std::int64_t saved = 0;   // tokens that need no saving any more
    bool saved_rest = false;
  };
  struct Load {
    std::int64_t step;
    std::int64_t number;
    std::int64_t visit;
    std::int64_t from;
    std::int64_t to;
  };
  // A load under way: of its chunks, the first `ready` are or will be in DRAM.
  struct Arriving {
    Load load;
    std::int64_t life = 0;   // that it belongs to
    std::int64_t first = 0;  // chunk
    std::int64_t ready = 0;
    std::vector<ChunkPart> staged;  // chunks that lower tiers sent
    std::vector<ChunkPart> held;    // their values, as memory was reserved for them
    StageTimes times;
  };
  struct Save {
    std::int64_t step;
    std::vector<ChunkPart> chunks;
  };

  std::unique_ptr<Eviction> make_eviction() const;
  // What the chunk costs from the lower tier that has it soonest; nullopt = none has it.
  std::optional<Seconds> refetch(BlockHash chunk) const;
  Visit* visit_of(std::int64_t number, std::int64_t serial);
  Task look_up(std::int64_t number, std::int64_t serial);
  Task prefetch(std::int64_t number, std::int64_t serial);
  std::int64_t join_layers(const std::vector<ChunkPart>& chunks,
                           const std::vector<ChunkPart>& values, std::int64_t came);
  Match found(const Visit& visit, std::int64_t local_tokens, std::int64_t limit_tokens);
  bool worth_loading(const Visit& visit, std::int64_t local_tokens, std::int64_t tokens) const;
  void pin(Visit& visit, std::int64_t chunks);
  void unpin(Visit& visit);

  Task run_loads(std::vector<Load> loads, std::function<void()> resume);
  // Brings layers [from, to) of a load into HBM; what does not come in shortens it.
  Task bring(Arriving& load, std::int64_t from, std::int64_t to);
  void shorten(const Arriving& load);
  void arrived(Arriving& load);
  Task to_device(Bytes bytes, std::size_t chunks, StageTimes& times);
  void keep_or_release(const std::vector<ChunkPart>& chunks);

  std::vector<ChunkPart> admit(const std::vector<ChunkPart>& chunks);
  Task run_saves(std::vector<ChunkPart> chunks, std::function<void()> resume);
  void hand_down(const std::vector<ChunkPart>& chunks);

  Options options_;
  Context context_;
  Tasks& tasks_;
  LmcacheChunks cut_;
  std::unique_ptr<Codec> codec_;
  HostPool pool_;
  std::vector<std::unique_ptr<LmcacheBackend>> lower_;
  std::unordered_map<std::int64_t, Visit> visits_;
  std::int64_t last_visit_ = 0;
  std::int64_t life_ = 0;  // of the process: a crash ends one
  std::deque<Load> loads_;
  std::deque<Save> saves_;
  std::unique_ptr<Signal> overlap_;  // fires when the layers that load beside the step are there
  std::int64_t dropped_tokens_ = 0;
  std::array<std::int64_t, kLowerTiers> skipped_tokens_{};  // not written to lower_[i], too busy
};

}  // namespace kvsim
