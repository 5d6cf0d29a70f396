#include "sim/frontend/epp/saturation.hpp"

#include <algorithm>

namespace kvsim {

double Saturation::of(const ReplicaView& replica, Seconds now) const {
  if (!by_gauges_)
    return by_requests_ ? static_cast<double>(replica.in_flight) / options_.max_requests
                        : static_cast<double>(replica.in_flight_tokens) / options_.max_tokens;
  if (options_.stale > Seconds(0) && now - replica.scraped > options_.stale) return 1.0;
  return std::max(static_cast<double>(replica.waiting) / options_.queue_depth,
                  replica.kv_usage / options_.kv_usage);
}

double Saturation::of(const ClusterView& view) const {
  double sum = 0;
  std::size_t ready = 0;
  for (const ReplicaView& replica : view.replicas) {
    if (!replica.ready) continue;
    sum += of(replica, view.now);
    ++ready;
  }
  return ready == 0 ? 1.0 : sum / static_cast<double>(ready);
}

}  // namespace kvsim
