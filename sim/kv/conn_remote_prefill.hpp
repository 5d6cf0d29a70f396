// A replica of a prefill or a decode pool: around its connector, it keeps the blocks of prompts
// that were computed for others, and pulls those that others have computed for it (NIXL's and
// Mooncake's connectors of vLLM; SGLang's bootstrap).
//
//   prefill  the blocks of a sequence that is kept_for_remote stay when it has ended, until they
//            are read, cancelled or timed out
//   decode   match() promises the whole prompt of a sequence that has a remote_number; load() pulls
//            what the local prefix cache lacks. Gone on the other side (time-out, crash), or too
//            slow: the load ends with nothing, and the engine computes the prompt itself
//
// The inner connector is asked for sequences without KV on a prefill replica, and for those whose
// KV there is gone; it stores and holds as if it were alone.
//
// Left out: layers that are sent while later ones are computed, KV that prefill and decode replicas
// keep in different precision or block sizes, connections made at the first transfer (ms), a
// transfer that fails half-way for another reason than a crash or a time-out. What has timed out
// takes its share of the network until it has arrived.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sim/kv/conn_kv_transfer.hpp"

namespace kvsim {

// What Connector::tiers() calls KV that comes from prefill replicas.
inline constexpr const char* kRemotePrefillTier = "prefill";

class RemotePrefillConnector final : public Connector {
 public:
  RemotePrefillConnector(KvTransferHub& hub, std::int32_t replica, std::unique_ptr<Connector> inner,
                         const Context& context);

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override;
  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override;
  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override;
  void allocated(std::span<const BlockId> blocks, std::int64_t step) override;
  [[nodiscard]] bool stores_generated() const override;
  void step_begins(std::int64_t done) override;
  [[nodiscard]] bool storing() const override;
  [[nodiscard]] bool hold_begin(std::int64_t step, std::function<void()> resume) override;
  [[nodiscard]] bool hold_end(std::int64_t step, std::function<void()> resume) override;
  [[nodiscard]] bool holds(KvSequence& sequence, std::function<void()> release_later) override;
  [[nodiscard]] std::vector<TierUse> tiers() const override;
  void add_listener(std::size_t tier, BlockListener* listener) override;
  [[nodiscard]] std::int64_t told_blocks(std::size_t tier) const override;
  [[nodiscard]] std::int64_t stored_blocks() const override {
    return inner_ == nullptr ? 0 : inner_->stored_blocks();
  }
  [[nodiscard]] Seconds estimate_fetch(std::size_t tier, Bytes bytes) const override {
    return inner_ == nullptr ? Seconds(0) : inner_->estimate_fetch(tier, bytes);
  }
  [[nodiscard]] const void* holder(std::size_t tier) const override {
    return inner_ != nullptr ? inner_->holder(tier) : this;
  }
  void crashed() override;
  [[nodiscard]] Bytes dram() const override;
  [[nodiscard]] std::vector<ResourceUse> resources() const override;
  [[nodiscard]] std::vector<std::string> warnings() const override;

  // --- the prefill side ---

  struct Held {
    std::vector<BlockId> blocks;
    std::int64_t tokens = 0;  // of the prompt
    Seconds until{0};         // given up then, when nobody reads them
    std::int32_t readers = 0;
    std::function<void()> release;
  };
  void expect(std::int64_t number) { expected_.insert(number); }
  void cancel(std::int64_t number);
  // nullptr = not held (yet, or any more).
  [[nodiscard]] const Held* held(std::int64_t number) const;
  [[nodiscard]] bool expected(std::int64_t number) const { return expected_.contains(number); }
  // Which life of its process this is; a read that began in another has failed.
  [[nodiscard]] std::int32_t life() const { return life_; }
  void begin_read(std::int64_t number);
  // Without having read all: they stay, as nobody tells the prefill replica.
  void end_read(std::int64_t number, bool whole);

  // --- the decode side ---

  // What match() did not know may be known now.
  void may_know();
  // Empty when KV of `prefill` fits here.
  [[nodiscard]] std::string mismatch(const RemotePrefillConnector& prefill) const;
  // Of the KV of so many tokens, over all ranks.
  [[nodiscard]] Bytes bytes(std::int64_t tokens) const;
  // Until the first byte leaves, blocks lying side by side.
  [[nodiscard]] Seconds preparing(const RemotePrefillConnector& prefill, std::int64_t tokens) const;

 private:
  struct Read {
    RemotePrefillConnector* source;
    std::int64_t number;
    std::int32_t source_life;
    std::int64_t from;  // tokens
    std::int64_t to;
    std::int64_t runs;  // of blocks that lie side by side at both ends
  };
  [[nodiscard]] Task fetch(KvSequence& sequence, Read read);
  [[nodiscard]] Task move(Read read, std::shared_ptr<Signal> moved);
  [[nodiscard]] Task stage(const Read& read);
  [[nodiscard]] std::int64_t blocks_of(const Read& read) const;
  [[nodiscard]] Seconds preparing(const RemotePrefillConnector& prefill, std::int64_t blocks,
                                  std::int64_t runs) const;
  void give_up(Seconds now);
  void release(std::unordered_map<std::int64_t, Held>::iterator at);

  KvTransferHub& hub_;
  std::int32_t replica_;
  std::unique_ptr<Connector> inner_;  // may be null
  Context context_;
  std::size_t tier_;  // whose hits these are: its own, or the last when all are taken
  std::int32_t life_ = 0;
  bool asked_ = false;  // match() did not know
  std::int64_t failed_ = 0;
  std::int64_t given_up_ = 0;

  std::unordered_map<std::int64_t, Held> held_;  // by number
  std::unordered_set<std::int64_t> expected_;
  struct Deadline {
    Seconds at;
    std::int64_t number;
  };
  std::deque<Deadline> deadlines_;  // of some that are held, and some that were
  Timer timer_;
};

}  // namespace kvsim
