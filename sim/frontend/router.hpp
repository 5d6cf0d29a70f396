// Where a request goes, among the replicas of one LLM that do one job (all of it, prefill, or
// decode). A router never sees more than a real one could know: published gauges as of the last
// scrape, KV events that have arrived, its own bookkeeping, the prompt. No output length, no cache.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/kv_index.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

// What the replicas that a router chooses among do.
enum class Role : std::uint8_t { kAggregated, kPrefill, kDecode };

// What an operator states of a replica: does not change.
struct ReplicaFacts {
  std::string name;
  std::string pool;
  std::int32_t node = 0;           // machine that it runs on
  std::int64_t kv_blocks = 0;      // of its engine's pool in HBM
  std::int64_t block_tokens = 16;  // of one such block
  std::int64_t max_batched_tokens = 2048;
  Bytes kv_token_bytes{0};          // KV of one token, over all ranks
  double prefill_tokens_per_s = 0;  // of a long prompt alone, as calibrated
  double weight = 1;                // the operator's weight (device-aware routing)
  bool cpu = false;                 // no GPU: a device-aware router groups by it
};

// What is known of one replica now.
struct ReplicaView {
  // As published by the engine at its last step, and scraped last.
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  double kv_usage = 0;  // 0..1; cached but unreferenced blocks count as free
  Seconds scraped{0};   // when
  // This frontend's own bookkeeping: fresh.
  std::int64_t in_flight = 0;         // requests sent that have not ended
  std::int64_t in_flight_tokens = 0;  // their prompts
  std::int64_t prefill_tokens = 0;    // prompts of those without a first token
  bool ready = true;                  // false: never choose it
};

struct ClusterView {
  Seconds now{0};
  std::span<const ReplicaView> replicas;
  KvIndex* cached = nullptr;  // what KV events have told until now; null unless the router needs it
};

struct Ask {
  std::int64_t number = 0;  // of this attempt: what first_token() and ended() will name
  std::int64_t input_tokens = 0;
  std::int64_t session = -1;  // -1 = none given
  std::int32_t priority = 0;  // lower is served first
  std::int32_t tenant = 0;
  std::int32_t pinned = -1;  // the replica that the caller names (direct); -1 = none
  // Chain hashes of the prompt as Router::hashes() asks for them.
  std::span<const BlockHash> prompt_hashes;
};

struct Decision {
  static constexpr std::int32_t kRefuse = -1;
  std::int32_t replica = 0;     // or kRefuse: the client gets an error
  std::int64_t hit_tokens = 0;  // that the router believes cached there: for deciders
  // Optional wish (Mooncake's Conductor): the replica first gets the KV of `copy_tokens` tokens,
  // those after `hit_tokens`, from replica `copy_from`; -1 = none. May be left undone.
  std::int32_t copy_from = -1;
  std::int64_t copy_tokens = 0;
};

// Which hashes of a prompt a router looks at.
struct HashNeed {
  static constexpr std::int64_t kEngineBlocks = -1;
  std::int64_t block_tokens = 0;  // 0 = none; kEngineBlocks = the engines' block size
  std::int64_t most_blocks = 0;   // 0 = all
  bool partial_tail = false;      // what is left over is hashed as a block of its own
};

class Router {
 public:
  static constexpr const char* kPlugin = "router";
  struct Context {
    std::uint64_t seed = 1;
    Role role = Role::kAggregated;
    std::vector<ReplicaFacts> replicas;
    // Tiers that KV events may tell of, HBM first.
    std::vector<std::string> tiers = {"hbm"};
    // Alone, from the node of the first replica to that of the second: for predictions. May be
    // empty.
    std::function<Seconds(std::int32_t from, std::int32_t to, Bytes)> transfer_time;
    // One prompt on an idle replica: `computed` tokens at an offset of `cached`. May be empty.
    std::function<Seconds(std::int32_t replica, std::int64_t cached, std::int64_t computed)>
        prefill_time;
    // Bringing KV from a lower tier (index into `tiers`) into a replica's HBM, alone. May be empty.
    std::function<Seconds(std::int32_t replica, std::size_t tier, Bytes)> fetch_time;
  };
  virtual ~Router() = default;

  [[nodiscard]] virtual bool needs_gauges() const { return false; }
  [[nodiscard]] virtual bool needs_events() const { return false; }
  [[nodiscard]] virtual HashNeed hashes() const { return {}; }
  // Replicas that its KvIndex keeps per block (KvIndex::Options::most_replicas); 0 = no limit.
  [[nodiscard]] virtual std::int32_t index_most_replicas() const { return 0; }
  // Spent before route() looks at anything: asking an index that lies elsewhere, tokenising.
  [[nodiscard]] virtual Seconds lookup_time() const { return Seconds(0); }
  // Called once per attempt, before the request is sent. At least one replica is ready. The router
  // may update its own bookkeeping: its answer is always followed.
  [[nodiscard]] virtual Decision route(const Ask& ask, const ClusterView& view) = 0;
  // What became of a routed request, by Ask::number. A first token may never come.
  virtual void first_token(std::int64_t /*number*/, Seconds /*now*/) {}
  virtual void ended(std::int64_t /*number*/, Seconds /*now*/) {}
  // A replica has lost its cache, or is gone; it may come back.
  virtual void lost(std::int32_t /*replica*/) {}
};

}  // namespace kvsim
