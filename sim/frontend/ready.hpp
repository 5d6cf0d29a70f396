// Choosing among the replicas that are ready, for routers that look at nothing else first.
#pragma once

#include <cstddef>

#include "sim/frontend/router.hpp"

namespace kvsim {

[[nodiscard]] inline std::size_t count_ready(const ClusterView& view) {
  std::size_t ready = 0;
  for (const ReplicaView& replica : view.replicas) ready += replica.ready ? 1 : 0;
  return ready;
}

// The n-th (from 0) of the ready replicas; there must be more than n.
[[nodiscard]] inline std::size_t nth_ready(const ClusterView& view, std::size_t n) {
  std::size_t at = 0;
  while (!view.replicas[at].ready || n-- > 0) ++at;
  return at;
}

constexpr std::size_t kNoReplica = static_cast<std::size_t>(-1);

// The ready replica with the fewest requests in flight for which `may(replica)` holds; of equals
// the first after `last`, so that ties go round. kNoReplica when there is none.
template <class May>
[[nodiscard]] std::size_t least_in_flight(const ClusterView& view, std::size_t last,
                                          const May& may) {
  const std::size_t n = view.replicas.size();
  std::size_t best = kNoReplica;
  for (std::size_t i = 0, at = last + 1 < n ? last + 1 : 0; i < n;
       ++i, at = at + 1 == n ? 0 : at + 1) {
    if (!view.replicas[at].ready || !may(at)) continue;
    if (best == kNoReplica || view.replicas[at].in_flight < view.replicas[best].in_flight)
      best = at;
  }
  return best;
}

// What a router that found `at` answers.
[[nodiscard]] inline Decision to_replica(std::size_t at) {
  return {at == kNoReplica ? Decision::kRefuse : static_cast<std::int32_t>(at)};
}

}  // namespace kvsim
