// What moves KV blocks between HBM and the tiers below it (spec/vllm.md section 8).
//
// The scheduler asks and announces; the connector spends simulated time on copy engines and, from
// its side, reports loads that have finished. A connector never touches the scheduler's state.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/block_pool.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

class World;
class Lane;

// The KV side of a request in an engine. Owned by the engine.
struct KvSequence {
  std::vector<BlockHash> hashes;  // of every full block of the prompt and its whole answer
  std::vector<BlockId> blocks;    // in HBM, first token first
  std::int64_t prompt_tokens = 0;
  std::int64_t stored_blocks = 0;  // leading blocks that a connector has looked at for storing
};

// What a tier holds and did, for the summary.
struct TierUse {
  std::string name;
  std::int64_t stored_bytes = 0;  // written into the tier
  std::int64_t evicted_tokens = 0;
  std::int64_t dropped_tokens = 0;  // not stored, because nothing was evictable
};

class Connector {
 public:
  static constexpr const char* kPlugin = "connector";

  struct Context {
    World& world;
    BlockPool& pool;
    std::int64_t block_tokens = 16;
    Bytes block_bytes{0};     // of one block in this GPU's HBM, one tensor-parallel rank
    std::int32_t ranks = 1;   // ranks move their part at the same time, each over its own link
    std::int32_t layers = 1;  // descriptors per block in the per-layer layout
    // The version's defaults: generated tokens are not stored; stores leave when the next step
    // begins and reused blocks wait for them (false: blocks are held until stored).
    bool prompt_only = true;
    bool deferred_stores = true;
    Lane& to_host;                               // copy engine device to host
    Lane& to_device;                             // copy engine host to device
    Seconds descriptor{0};                       // submitting one copy descriptor
    std::function<Bandwidth(Bytes)> rate_limit;  // of copies in descriptors of this size; 0 = none
    std::function<void(KvSequence&)> loaded;     // a load has arrived in HBM
    std::function<void()> changed;               // a refusal to answer (`ask_again`) may have ended
  };

  struct Match {
    std::int64_t tokens = 0;  // beyond the local ones; 0 = nothing
    bool ask_again = false;   // not known yet: try when the connector says `changed`
  };

  virtual ~Connector() = default;

  // How many tokens after the first `local_tokens` a tier can supply, of at most `limit_tokens`
  // known ones. Called for each attempt to admit.
  [[nodiscard]] virtual Match match(const KvSequence& sequence, std::int64_t local_tokens,
                                    std::int64_t limit_tokens) = 0;
  // Begins to fill `blocks` (already in sequence.blocks from index `first`); calls `loaded` when
  // the last byte is in HBM.
  virtual void load(KvSequence& sequence, std::int64_t first, std::int64_t blocks) = 0;
  // Step number `step`, which is being planned, completes the sequence's first `full_blocks`
  // blocks.
  virtual void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) = 0;
  // Step number `step`, which is being planned, gives these blocks new content.
  virtual void allocated(std::span<const BlockId> blocks, std::int64_t step) = 0;
  // Decodes fill blocks too: does anybody want to hear of those?
  [[nodiscard]] virtual bool stores_generated() const = 0;
  // Steps up to number `done` have ended and the next one begins: their stores are sent off now.
  virtual void step_begins(std::int64_t done) = 0;
  // Stores wait for the end of a step or are under way: a step to come may have to wait for them.
  [[nodiscard]] virtual bool storing() const = 0;
  // Step number `step` begins now and may write into blocks that a store still reads: then it must
  // wait, and `resume` is called when it may go on. False = no need to wait.
  [[nodiscard]] virtual bool must_flush(std::int64_t step, std::function<void()> resume) = 0;
  // The request has ended or was preempted; its blocks are about to be released. True: they must be
  // kept until `release_later` is called (old connector behaviour).
  [[nodiscard]] virtual bool holds(KvSequence& sequence, std::function<void()> release_later) = 0;

  [[nodiscard]] virtual std::vector<TierUse> tiers() const = 0;
};

}  // namespace kvsim
