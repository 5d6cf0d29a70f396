// Where a request goes. A router decides on a view that is up to view_refresh_s old; it never sees
// more than a real one could: published gauges, its own bookkeeping, the prompt. No output length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

// What is known of one replica.
struct ReplicaView {
  std::int64_t running = 0;    // as of the last refresh
  std::int64_t waiting = 0;    // as of the last refresh
  double kv_usage = 0;         // 0..1, as of the last refresh
  std::int64_t in_flight = 0;  // requests that this router has sent and that have not ended: fresh
};

struct ClusterView {
  std::span<const ReplicaView> replicas;
};

struct Ask {
  std::int64_t input_tokens = 0;
  std::int64_t session = -1;                 // -1 = none given
  std::span<const BlockHash> prompt_hashes;  // full blocks; empty unless the router needs them
};

struct Decision {
  std::int32_t replica = 0;
};

class Router {
 public:
  static constexpr const char* kPlugin = "router";
  struct Context {
    std::uint64_t seed = 1;
    std::vector<std::int64_t> kv_blocks;  // of each replica: its engine's pool size
  };
  virtual ~Router() = default;

  [[nodiscard]] virtual bool needs_gauges() const { return false; }
  [[nodiscard]] virtual bool needs_hashes() const { return false; }
  // Called once per attempt, before the request is sent. The router may update its own bookkeeping:
  // its answer is always followed.
  [[nodiscard]] virtual Decision route(const Ask& ask, const ClusterView& view) = 0;
};

}  // namespace kvsim
