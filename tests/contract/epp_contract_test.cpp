// What every scorer, filter and picker of llm-d's endpoint picker owes, driven through the router.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/route_llm_d.hpp"

namespace kvsim {
namespace {

// Options of plug-ins that have required ones.
Json parameters(const std::string& type) {
  if (type == "by-label") return {{"pools", {"a", "b"}}};
  if (type == "slo-headroom-tier-filter") return {{"ttft_s", 0.1}};
  return Json::object();
}

std::vector<std::string> all_types() {
  std::vector<std::string> out = Registry<EppScorer>::instance().names();
  for (const std::string& name : Registry<EppFilter>::instance().names()) out.push_back(name);
  for (const std::string& name : Registry<EppPicker>::instance().names()) out.push_back(name);
  return out;
}

struct Step {
  std::int32_t replica;
  std::vector<double> scores;
  std::vector<std::int32_t> candidates;
};

class EppContract : public testing::TestWithParam<std::string> {
 protected:
  // 200 requests on replicas whose load changes at random and of which one is not ready.
  static std::vector<Step> run(std::size_t replicas) {
    Router::Context context;
    context.seed = 5;
    for (std::size_t i = 0; i < replicas; ++i)
      context.replicas.push_back(
          {.pool = i % 2 == 0 ? "a" : "c", .kv_blocks = 500, .prefill_tokens_per_s = 10'000});
    LlmDOptions options;
    options.plugins.push_back({.type = GetParam(), .parameters = parameters(GetParam())});
    LlmDRouter router(options, context);
    KvIndex index({.replicas = static_cast<std::int32_t>(replicas)});
    Rng rng = stream(1, "contract/epp");
    std::vector<ReplicaView> views(replicas);
    std::vector<Step> out;
    for (int i = 0; i < 200; ++i) {
      for (ReplicaView& view : views) {
        view = {.running = static_cast<std::int64_t>(rng.below(10)),
                .waiting = static_cast<std::int64_t>(rng.below(12)),
                .kv_usage = rng.uniform(),
                .in_flight = static_cast<std::int64_t>(rng.below(20)),
                .in_flight_tokens = static_cast<std::int64_t>(rng.below(6'000'000)),
                .prefill_tokens = static_cast<std::int64_t>(rng.below(3'000))};
      }
      const std::size_t down = rng.below(replicas);
      views[down].ready = replicas == 1;
      std::vector<BlockHash> hashes(20);
      const std::uint64_t group = 100 * rng.below(5);
      for (std::size_t block = 0; block < hashes.size(); ++block)
        hashes[block] = mix64(1 + group + block);
      if (rng.below(50) == 0) router.lost(static_cast<std::int32_t>(rng.below(replicas)));
      const Ask ask{.number = i,
                    .input_tokens = 320,
                    .session = static_cast<std::int64_t>(rng.below(20)) - 1,
                    .prompt_hashes = hashes};
      const Decision decision =
          router.route(ask, {.now = Seconds(0.1 * i), .replicas = views, .cached = &index});
      if (decision.replica >= 0) {
        EXPECT_TRUE(views[static_cast<std::size_t>(decision.replica)].ready);
      }
      EXPECT_GE(decision.hit_tokens, 0);
      EXPECT_LE(decision.hit_tokens, ask.input_tokens);
      out.push_back({decision.replica,
                     {router.scores().begin(), router.scores().end()},
                     {router.candidates().begin(), router.candidates().end()}});
    }
    return out;
  }
};

TEST_P(EppContract, ChoosesOneOfItsCandidates) {
  for (const std::size_t replicas : {1, 2, 5, 70})
    for (const Step& step : run(replicas)) {
      if (step.replica == Decision::kRefuse) continue;
      EXPECT_NE(std::find(step.candidates.begin(), step.candidates.end(), step.replica),
                step.candidates.end());
    }
}

TEST_P(EppContract, ScoresAreSharesOfOne) {
  for (const std::size_t replicas : {1, 2, 5, 70})
    for (const Step& step : run(replicas))
      for (const double score : step.scores) {
        EXPECT_FALSE(std::isnan(score));
        EXPECT_GE(score, 0);
        EXPECT_LE(score, 1);
      }
}

TEST_P(EppContract, DecidesTheSameForTheSameSeed) {
  const auto first = run(8);
  const auto second = run(8);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].replica, second[i].replica);
}

INSTANTIATE_TEST_SUITE_P(All, EppContract, testing::ValuesIn(all_types()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace kvsim
