// Pools as autoscalers are shown them, and one decision about them.
#pragma once

#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/frontend/autoscaler.hpp"

namespace kvsim {

using Replica = PoolMetrics::Replica;
using Pools = std::vector<PoolMetrics>;
using Counts = std::vector<std::int64_t>;

inline std::unique_ptr<Autoscaler> make_scaler(const Json& config,
                                               const Autoscaler::Context& context = {}) {
  return Registry<Autoscaler>::instance().make(ConfigNode(config, "test"), context);
}

// A pool whose replicas are all ready and alike.
inline PoolMetrics pool_of(std::int64_t ready, const Replica& replica,
                           Role role = Role::kAggregated) {
  PoolMetrics pool;
  pool.name = "pool";
  pool.role = role;
  pool.ready = ready;
  pool.most = 100;
  pool.max_model_len = 10'000;
  pool.kv_tokens = 1'000;
  pool.max_batched_tokens = 1'000;
  pool.interval = Seconds(15);
  pool.replicas.assign(static_cast<std::size_t>(ready), replica);
  return pool;
}

inline std::int64_t decided(Autoscaler& scaler, const PoolMetrics& pool, double now = 0,
                            std::int64_t wanted = -1) {
  const Pools pools = {pool};
  Counts counts = {wanted >= 0 ? wanted : pool.ready};
  scaler.decide(Seconds(now), pools, counts);
  return counts[0];
}

inline Json with(Json config, const Json& more) {
  config.update(more);
  return config;
}

}  // namespace kvsim
