// A small cluster whose replicas a test fills in, and llm-d's endpoint picker with one plug-in.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "sim/frontend/route_llm_d.hpp"

namespace kvsim {

struct Cluster {
  explicit Cluster(std::size_t replicas) : views(replicas) {
    context.seed = 3;
    context.replicas.assign(replicas, {.pool = "a", .kv_blocks = 1000, .block_tokens = 16});
  }
  [[nodiscard]] ClusterView view() const {
    return {.now = now, .replicas = views, .cached = index};
  }

  Router::Context context;
  std::vector<ReplicaView> views;
  Seconds now{0};
  KvIndex* index = nullptr;
  Ask ask;
};

inline LlmDOptions one_scorer(const char* type, const Json& parameters = Json::object()) {
  LlmDOptions options;
  options.plugins.push_back({.type = type, .parameters = parameters});
  return options;
}

// What one scorer gives to replicas 0, 1, ...: weight 1, so the sum is the clamped score.
inline std::vector<double> scores(Cluster& cluster, const char* type,
                                  const Json& parameters = Json::object()) {
  LlmDRouter router(one_scorer(type, parameters), cluster.context);
  (void)router.route(cluster.ask, cluster.view());
  return {router.scores().begin(), router.scores().end()};
}

inline void expect_scores(const std::vector<double>& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-12) << i;
}

inline std::vector<BlockHash> prompt(std::uint64_t first, std::size_t blocks) {
  std::vector<BlockHash> out(blocks);
  for (std::size_t i = 0; i < blocks; ++i) out[i] = mix64(first + i);
  return out;
}

}  // namespace kvsim
