// What moves KV blocks between HBM and the tiers below it (spec/vllm.md section 8).
//
// The scheduler asks and announces; the connector spends simulated time on copy engines and, from
// its side, reports loads that have finished. A connector never touches the scheduler's state.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/block_pool.hpp"
#include "sim/store/store.hpp"
#include "sim/workload/block_hash.hpp"
#include "sim/workload/request.hpp"

namespace kvsim {

class Lane;
class StoreAccess;

// Tiers below HBM that a connector may tell apart.
constexpr std::size_t kLowerTiers = 3;

// The KV side of a request in an engine. Owned by the engine.
struct KvSequence {
  Request request;
  std::int64_t number = -1;       // of the request: tells its visits apart
  std::vector<BlockHash> hashes;  // of every full block of the prompt and its whole answer
  std::vector<BlockId> blocks;    // in HBM, first token first
  std::int64_t prompt_tokens = 0;
  std::int64_t stored_blocks = 0;  // leading blocks that a connector has looked at for storing
  bool preempted = false;          // has been, and starts over
  bool finished = false;           // has left its engine complete, neither preempted nor aborted
  // P/D disaggregation (spec/dynamo.md section 4). Of a prompt computed for a decode replica: its
  // blocks are kept after its end, until they have been read.
  bool kept_for_remote = false;
  // Of the decode replica's part: number of the sequence on `prefill_replica` whose blocks hold the
  // prompt's KV; -1 = computed here.
  std::int64_t remote_number = -1;
  std::int32_t prefill_replica = -1;
  // For the record: time that the connector spent on this request, since the engine looked last.
  Seconds lookup_time{0};
  StageTimes fetched;
  StageTimes prefetched;  // into DRAM, while it waited to be admitted: adds up to what passed
};

// What a tier holds and did, for the summary.
struct TierUse {
  std::string name;
  std::int64_t stored_bytes = 0;  // written into the tier
  std::int64_t evicted_tokens = 0;
  std::int64_t dropped_tokens = 0;  // not stored: nothing was evictable, or it was too busy
  std::int64_t failed_loads = 0;    // turned into a miss and a recompute: time-out, dead, gone
  std::int64_t bypassed = 0;        // lookups not made because the tier was held unhealthy
};

class Connector {
 public:
  static constexpr const char* kPlugin = "connector";

  struct Context {
    Tasks& tasks;
    Host& host;           // the machine that it runs on
    StoreAccess& stores;  // what it may reach from there
    std::string name;     // of the replica, for resources
    std::string model;    // part of every key: another LLM never hits
    std::string kv_dtype = "bf16";
    BlockPool& pool;
    std::int64_t block_tokens = 16;
    Bytes block_bytes{0};     // of one block in this GPU's HBM, one tensor-parallel rank
    std::int32_t ranks = 1;   // ranks move their part at the same time, each over its own link
    std::int32_t layers = 1;  // descriptors per block in the per-layer layout
    bool one_rank_holds_all = false;          // MLA: every rank has the same KV
    std::int64_t recompute_tokens_per_s = 0;  // of a prompt, alone on this engine: for estimates
    // The version's defaults: generated tokens are not stored; stores leave when the next step
    // begins and reused blocks wait for them (false: blocks are held until stored).
    bool prompt_only = true;
    bool deferred_stores = true;
    bool plain_copies = false;                   // one call per copy descriptor, not one per batch
    bool ready_at_end = false;                   // what a request stored is ready when it has ended
    bool scans_to_evict = false;                 // the scheduler walks over what cannot be evicted
    Lane& to_host;                               // copy engine device to host
    Lane& to_device;                             // copy engine host to device
    Bandwidth to_device_rate{0};                 // of that engine alone, large copies
    Seconds descriptor{0};                       // submitting one copy descriptor
    std::function<Bandwidth(Bytes)> rate_limit;  // of copies in descriptors of this size; 0 = none
    // A load of its own time has ended: the sequence's first `tokens` are in HBM (fewer than
    // promised when a tier failed: the rest is computed).
    std::function<void(KvSequence&, std::int64_t tokens)> loaded;
    // A load inside the step that is about to begin got only the first `tokens`: the step computes
    // the rest of what was promised.
    std::function<void(KvSequence&, std::int64_t tokens)> missed;
    std::function<void()> changed;  // a refusal to answer (`ask_again`) may have ended
  };

  struct Match {
    std::int64_t tokens = 0;                          // beyond the local ones; 0 = nothing
    std::array<std::int64_t, kLowerTiers> by_tier{};  // adds up to tokens
    bool ask_again = false;  // not known yet: try when the connector says `changed`
    bool pause = false;      // and plan nothing until then: the scheduler itself waits
    bool in_step = false;    // the load is part of the step that computes the rest
  };

  virtual ~Connector() = default;

  // How many tokens after the first `local_tokens` a tier can supply, of at most `limit_tokens`
  // known ones. Called for each attempt to admit.
  [[nodiscard]] virtual Match match(const KvSequence& sequence, std::int64_t local_tokens,
                                    std::int64_t limit_tokens) = 0;
  // What match() promised is taken: tokens [from, to) belong into the sequence's blocks, which it
  // has. Begins now and ends with `loaded`; or, in_step, is done before step number `step` begins.
  virtual void load(KvSequence& sequence, std::int64_t from, std::int64_t to,
                    std::int64_t step) = 0;
  // Step number `step`, which is being planned, completes the sequence's first `full_blocks`
  // blocks.
  virtual void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) = 0;
  // Step number `step`, which is being planned, gives these blocks new content.
  virtual void allocated(std::span<const BlockId> blocks, std::int64_t step) = 0;
  // Step number `step` has been planned, and the connector told of all it does. What the connector
  // took of the scheduler's thread for it.
  [[nodiscard]] virtual Seconds planned(std::int64_t /*step*/) { return Seconds(0); }
  // Decodes fill blocks too: does anybody want to hear of those?
  [[nodiscard]] virtual bool stores_generated() const = 0;
  // Steps up to number `done` have ended and the next one begins: their stores are sent off now.
  virtual void step_begins(std::int64_t done) = 0;
  // Stores wait for the end of a step or are under way: a step to come may have to wait for them.
  [[nodiscard]] virtual bool storing() const = 0;
  // Step number `step` begins now. True: it must wait, for a load that is part of it or for a store
  // that still reads blocks which it writes; `resume` is called when it may go on.
  [[nodiscard]] virtual bool hold_begin(std::int64_t step, std::function<void()> resume) = 0;
  // Step number `step` has computed. True: its results are held back, by a store that is part of
  // the step; `resume` is called when they may go out.
  [[nodiscard]] virtual bool hold_end(std::int64_t /*step*/, std::function<void()> /*resume*/) {
    return false;
  }
  // The request has ended or was preempted; its blocks are about to be released. True: they must be
  // kept until `release_later` is called (old connector behaviour).
  [[nodiscard]] virtual bool holds(KvSequence& sequence, std::function<void()> release_later) = 0;

  [[nodiscard]] virtual std::vector<TierUse> tiers() const = 0;
  // One more who hears what becomes loadable in tiers()[tier], what is used and what stops to be.
  // Not every tier tells. Not owned.
  virtual void add_listener(std::size_t /*tier*/, BlockListener* /*listener*/) {}
  // Blocks that one entry of that tier covers: it is named by the chain hash of the last of them.
  // 0 = the tier tells nothing.
  [[nodiscard]] virtual std::int64_t told_blocks(std::size_t /*tier*/) const { return 0; }
  // Blocks that one value in a store below it covers; 0 = there is none, or values do not say.
  [[nodiscard]] virtual std::int64_t stored_blocks() const { return 0; }
  // Bringing `bytes` of KV (over all ranks) from tiers()[tier] into HBM, alone: for predictions.
  // 0 = not known.
  [[nodiscard]] virtual Seconds estimate_fetch(std::size_t /*tier*/, Bytes /*bytes*/) const {
    return Seconds(0);
  }
  // Whose that tier is: this connector's, or of something on the node that several share.
  [[nodiscard]] virtual const void* holder(std::size_t /*tier*/) const { return this; }
  // The engine's process has died: what lived in it is gone (listeners hear cleared()), what lies
  // in other processes or in stores stays. Stores that have not begun are dropped; what is
  // under way ends and calls back as always, so that the engine gets every sequence and block back,
  // and leaves nothing in the tiers.
  virtual void crashed() {}
  // DRAM that it takes on its host, over all ranks.
  [[nodiscard]] virtual Bytes dram() const = 0;
  [[nodiscard]] virtual std::vector<ResourceUse> resources() const { return {}; }
  // What a reader of the results must know.
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
};

}  // namespace kvsim
