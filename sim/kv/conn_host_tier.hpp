// A DRAM tier of single blocks whose loads are part of the step that computes the rest: what
// SGLang's HiCache and TensorRT-LLM's host offload share (spec/sglang_trtllm.md sections 3 and 5).
//
//   up     all of the prefix that continues what HBM has, or nothing; the step waits for it, or by
//          layer: for the first layer only, the others are copied while it computes and its results
//          wait for the rest
//   down   write-back: a block is copied when HBM evicts it, before the step that overwrites it
//          begins; or as a subclass says
//
// One lane stands for the links of all ranks, which copy side by side. Lookups cost no time.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "sim/des/waiting.hpp"
#include "sim/kv/block_listener.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_cache.hpp"

namespace kvsim {

class HostTierConnector : public Connector, private BlockListener {
 public:
  ~HostTierConnector() override { context_.pool.remove_listener(this); }

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override;
  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override;
  void completed(KvSequence&, std::int64_t, std::int64_t) override {}
  void allocated(std::span<const BlockId> blocks, std::int64_t step) override;
  bool stores_generated() const override { return cache_.capacity() > 0; }
  void step_begins(std::int64_t) override {}
  bool storing() const override;
  bool hold_begin(std::int64_t step, std::function<void()> resume) override;
  bool hold_end(std::int64_t step, std::function<void()> resume) override;
  bool holds(KvSequence& sequence, std::function<void()> release_later) override;
  std::vector<TierUse> tiers() const override;
  Bytes dram() const override { return context_.block_bytes * cache_.capacity() * context_.ranks; }
  void add_listener(std::size_t tier, BlockListener* listener) override {
    if (tier == 0) cache_.add_listener(listener);
  }
  std::int64_t told_blocks(std::size_t tier) const override { return tier == 0 ? 1 : 0; }
  void crashed() override {
    write_backs_.clear();
    cache_.clear();
  }

 protected:
  struct Protocol {
    bool write_back = false;
    bool by_layer = false;
    std::int64_t least_tokens = 1;  // of a load
  };
  HostTierConnector(const Context& context, const Protocol& protocol, std::int64_t blocks,
                    std::unique_ptr<Eviction> eviction);

  // Of a block that HBM evicts: is it worth keeping?
  [[nodiscard]] virtual bool keeps(BlockHash /*block*/) { return true; }
  // HBM has evicted it, whether or not it is kept.
  virtual void evicted_from_device(BlockHash /*block*/) {}
  // Copied because HBM evicted them.
  virtual void written_back(const std::vector<BlockHash>& /*blocks*/) {}

  // Comes back when so many blocks are copied.
  [[nodiscard]] Task copy(Lane& lane, std::int64_t blocks);
  [[nodiscard]] HostCache& cache() { return cache_; }
  [[nodiscard]] const HostCache& cache() const { return cache_; }
  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] Tasks& tasks() const { return context_.tasks; }

 private:
  struct Load {
    std::int64_t step;
    KvSequence* sequence;
    std::vector<BlockHash> blocks;
  };
  struct WriteBack {
    std::int64_t step;  // that overwrites it
    BlockHash block;
  };

  void cached(BlockHash) override {}
  void evicted(BlockHash block) override;
  std::vector<BlockHash> leading(const KvSequence& sequence, std::int64_t first,
                                 std::int64_t last) const;
  Task begin(std::vector<BlockHash> down, std::vector<Load> up, std::function<void()> resume);
  Task bring(std::vector<Load> loads);
  Task bring_rest(std::vector<Load> loads, Bytes bytes);
  Task finish(std::function<void()> resume);
  Task copy_bytes(Lane& lane, std::int64_t blocks, Bytes bytes);

  Context context_;
  Protocol protocol_;
  HostCache cache_;
  std::vector<BlockHash> just_evicted_;  // by the allocation under way
  std::deque<WriteBack> write_backs_;    // of steps that have not begun
  std::deque<Load> loads_;               // the same
  std::unique_ptr<Signal> rest_;         // of the layers that are copied beside the step
};

}  // namespace kvsim
