// What every registered router must do.
#include "sim/frontend/router.hpp"

#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

class RouterContract : public testing::TestWithParam<std::string> {
 protected:
  // The choices for 300 requests on `replicas` replicas whose load changes at random.
  static std::vector<std::int32_t> choices(std::size_t replicas) {
    const Json kind = GetParam();
    Router::Context context;
    context.seed = 7;
    context.replicas.assign(replicas, {.kv_blocks = 1000});
    const auto router = Registry<Router>::instance().make(ConfigNode(kind, "contract"), context);
    Rng rng = stream(1, "contract/router");
    std::vector<ReplicaView> views(replicas);
    std::vector<BlockHash> hashes(20);
    std::vector<std::int32_t> out;
    for (int i = 0; i < 300; ++i) {
      for (ReplicaView& view : views) {
        view.running = static_cast<std::int64_t>(rng.below(10));
        view.waiting = static_cast<std::int64_t>(rng.below(3));
        view.in_flight = view.running + view.waiting;
        view.kv_usage = rng.uniform();
      }
      const std::uint64_t group = rng.below(5);
      for (std::size_t block = 0; block < hashes.size(); ++block)
        hashes[block] = mix64(1 + group * 100 + block);
      Ask ask;
      ask.input_tokens = 320;
      ask.session = static_cast<std::int64_t>(rng.below(20)) - 1;
      if (router->hashes().block_tokens != 0) ask.prompt_hashes = hashes;
      out.push_back(router->route(ask, {.replicas = views}).replica);
    }
    return out;
  }
};

TEST_P(RouterContract, ChoosesAnExistingReplica) {
  for (const std::size_t replicas : {1, 2, 5, 70})
    for (const std::int32_t choice : choices(replicas)) {
      EXPECT_GE(choice, 0);
      EXPECT_LT(choice, static_cast<std::int32_t>(replicas));
    }
}

TEST_P(RouterContract, ChoosesTheSameForTheSameSeed) { EXPECT_EQ(choices(8), choices(8)); }

TEST_P(RouterContract, LeavesNoReplicaIdleForEver) {
  std::vector<int> seen(4, 0);
  for (const std::int32_t choice : choices(4)) ++seen[static_cast<std::size_t>(choice)];
  for (const int count : seen) EXPECT_GT(count, 0);
}

INSTANTIATE_TEST_SUITE_P(AllRouters, RouterContract,
                         testing::ValuesIn(Registry<Router>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace kvsim
