// What every registered router must do.
#include "sim/frontend/router.hpp"

#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

class RouterContract : public testing::TestWithParam<std::string> {
 protected:
  // Whether a replica is ready when request number `i` comes.
  using Ready = bool (*)(std::size_t replica, int i);
  static bool always(std::size_t, int) { return true; }
  // One after the other is away.
  static bool in_turns(std::size_t replica, int i) {
    return static_cast<std::size_t>(i / 10) % 3 != replica % 3;
  }

  // The choices for 300 requests on `replicas` replicas whose load changes at random, and of which
  // each request ends when eight more have come.
  static std::vector<std::int32_t> choices(std::size_t replicas, Ready ready = always) {
    const Json kind = GetParam();
    Router::Context context;
    context.seed = 7;
    context.replicas.assign(replicas, {.kv_blocks = 1000});
    const auto router = Registry<Router>::instance().make(ConfigNode(kind, "contract"), context);
    Rng rng = stream(1, "contract/router");
    KvIndex index({.replicas = static_cast<std::int32_t>(replicas)});
    std::vector<ReplicaView> views(replicas);
    std::vector<BlockHash> hashes(20);
    std::vector<std::int32_t> out;
    for (int i = 0; i < 300; ++i) {
      for (std::size_t at = 0; at < replicas; ++at) {
        ReplicaView& view = views[at];
        view.running = static_cast<std::int64_t>(rng.below(10));
        view.waiting = static_cast<std::int64_t>(rng.below(3));
        view.in_flight = view.running + view.waiting;
        view.kv_usage = rng.uniform();
        view.ready = ready(at, i);
      }
      const std::uint64_t group = rng.below(5);
      for (std::size_t block = 0; block < hashes.size(); ++block)
        hashes[block] = mix64(1 + group * 100 + block);
      const Seconds now(0.1 * i);
      Ask ask;
      ask.number = i;
      ask.input_tokens = 320;
      ask.session = static_cast<std::int64_t>(rng.below(20)) - 1;
      ask.pinned = ready_replica(views, rng);
      if (router->hashes().block_tokens != 0) ask.prompt_hashes = hashes;
      out.push_back(router->route(ask, {.now = now, .replicas = views, .cached = &index}).replica);
      router->first_token(i - 4, now);
      router->ended(i - 8, now);
    }
    return out;
  }
  static std::int32_t ready_replica(const std::vector<ReplicaView>& views, Rng& rng) {
    std::size_t at = rng.below(views.size());
    while (!views[at].ready) at = (at + 1) % views.size();
    return static_cast<std::int32_t>(at);
  }
};

TEST_P(RouterContract, ChoosesAnExistingReplica) {
  for (const std::size_t replicas : {1, 2, 5, 70})
    for (const std::int32_t choice : choices(replicas)) {
      EXPECT_GE(choice, 0);
      EXPECT_LT(choice, static_cast<std::int32_t>(replicas));
    }
}

TEST_P(RouterContract, NeverChoosesAReplicaThatIsNotReady) {
  for (const std::size_t replicas : {2, 5, 70}) {
    const std::vector<std::int32_t> chosen = choices(replicas, in_turns);
    for (int i = 0; i < static_cast<int>(chosen.size()); ++i) {
      const std::int32_t choice = chosen[static_cast<std::size_t>(i)];
      ASSERT_GE(choice, 0);
      EXPECT_TRUE(in_turns(static_cast<std::size_t>(choice), i)) << "request " << i;
    }
  }
}

TEST_P(RouterContract, ToleratesNewsOfRequestsAndReplicasThatItDoesNotKnow) {
  const Json kind = GetParam();
  Router::Context context;
  context.replicas.assign(3, {.kv_blocks = 1000});
  const auto router = Registry<Router>::instance().make(ConfigNode(kind, "contract"), context);
  router->first_token(17, Seconds(1));
  router->ended(17, Seconds(2));
  router->ended(17, Seconds(3));
  router->first_token(17, Seconds(4));
  for (const std::int32_t replica : {0, 1, 2}) router->lost(replica);
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
