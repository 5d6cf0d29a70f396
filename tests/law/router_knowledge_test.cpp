// A router knows nothing that a real one could not: by the types of what it is shown, by what its
// files include, and by sabotage: where only the truth behind the view differs (answer lengths,
// caches that have not published yet), every registered router decides the same.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <type_traits>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/kv_events.hpp"
#include "sim/workload/request.hpp"

namespace kvsim {
namespace {

// ------------------------------------------------------------------------------------- by types

// What may stand in a view: plain values, which cannot lead to an engine or a request. A member
// that is added breaks the bindings below: whoever adds one is to ask how a real router knows it.
template <class T>
constexpr bool kPlain = std::is_arithmetic_v<T> || std::is_same_v<T, Seconds> ||
                        std::is_same_v<T, Bytes> || std::is_same_v<T, std::string>;
template <class... Members>
constexpr bool all_plain() {
  return (kPlain<std::remove_const_t<Members>> && ...);
}

constexpr bool ask_is_plain(const Ask& ask) {
  const auto& [number, input_tokens, session, priority, tenant, pinned, prompt_hashes] = ask;
  static_assert(std::is_same_v<decltype(prompt_hashes), const std::span<const BlockHash>>);
  return all_plain<decltype(number), decltype(input_tokens), decltype(session), decltype(priority),
                   decltype(tenant), decltype(pinned)>();
}
constexpr bool replica_view_is_plain(const ReplicaView& view) {
  const auto& [running, waiting, kv_usage, scraped, in_flight, in_flight_tokens, prefill_tokens,
               ready] = view;
  return all_plain<decltype(running), decltype(waiting), decltype(kv_usage), decltype(scraped),
                   decltype(in_flight), decltype(in_flight_tokens), decltype(prefill_tokens),
                   decltype(ready)>();
}
bool replica_facts_are_plain(const ReplicaFacts& facts) {
  const auto& [name, pool, node, kv_blocks, block_tokens, max_batched_tokens, kv_token_bytes,
               prefill_tokens_per_s, weight, cpu] = facts;
  return all_plain<decltype(name), decltype(pool), decltype(node), decltype(kv_blocks),
                   decltype(block_tokens), decltype(max_batched_tokens), decltype(kv_token_bytes),
                   decltype(prefill_tokens_per_s), decltype(weight), decltype(cpu)>();
}
constexpr bool cluster_view_is_known(const ClusterView& view) {
  const auto& [now, replicas, cached] = view;
  return std::is_same_v<decltype(now), const Seconds> &&
         std::is_same_v<decltype(replicas), const std::span<const ReplicaView>> &&
         std::is_same_v<decltype(cached), KvIndex* const>;
}

TEST(RouterKnowledge, WhatARouterIsShownIsPlainValues) {
  static_assert(ask_is_plain(Ask{}));
  static_assert(replica_view_is_plain(ReplicaView{}));
  static_assert(cluster_view_is_known(ClusterView{}));
  static_assert(std::is_trivially_copyable_v<Ask>);
  static_assert(std::is_trivially_copyable_v<ReplicaView>);
  static_assert(std::is_trivially_copyable_v<ClusterView>);
  EXPECT_TRUE(replica_facts_are_plain(ReplicaFacts{}));
}

TEST(RouterKnowledge, NoRouterIncludesWhatHoldsTheTruth) {
  const std::regex truth(
      R"(#include "sim/(engine/|store/|experiment/|report/|des/|kv/(block_|conn|host_)|)"
      R"(workload/request|frontend/(frontend|replica|fleet|dispatcher|flight)))");
  int seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           std::filesystem::path(KVSIM_SOURCE_DIR) / "sim/frontend")) {
    const std::filesystem::path& path = entry.path();
    const bool routes = path.filename().string().rfind("route", 0) == 0 ||
                        path.parent_path().filename() == "epp" || path.stem() == "prediction";
    if (!entry.is_regular_file() || !routes) continue;
    ++seen;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
      EXPECT_FALSE(std::regex_search(line, truth)) << path << ": " << line;
  }
  EXPECT_GE(seen, 10);
}

// ---------------------------------------------------------------------------------- by sabotage

constexpr std::size_t kReplicas = 4;
constexpr int kAsks = 200;
constexpr double kBetweenAsks = 0.01;
constexpr double kVisibleAt = 1;  // the events of 0 s, where they are published at all

// The truth behind the view.
struct Truth {
  std::uint64_t seed = 1;  // of answer lengths, and of which replica holds what in which tier
  enum class Events { kNone, kNotPublished, kLate } events = Events::kNone;
};

Request request_of(std::uint64_t text, std::int64_t output) {
  Request request;
  request.input = Tokens(2000 + static_cast<std::int64_t>(text));
  request.output = Tokens(output);
  request.prompt = {{text, 0, request.input.count()}};
  request.answer_stream = 1'000'000 + text + static_cast<std::uint64_t>(output);
  return request;
}

std::vector<BlockHash> hashes_of(const Request& request, const HashNeed& need) {
  std::vector<BlockHash> hashes;
  if (need.block_tokens == 0) return hashes;
  const std::int64_t block = need.block_tokens > 0 ? need.block_tokens : 16;
  const std::int64_t tokens = request.input.count();
  extend_block_hashes(request, block, tokens, hashes);
  if (need.partial_tail && tokens % block != 0)
    hashes.push_back(prefix_hash(request, block, tokens, hashes));
  if (need.most_blocks > 0 && static_cast<std::int64_t>(hashes.size()) > need.most_blocks)
    hashes.resize(static_cast<std::size_t>(need.most_blocks));
  return hashes;
}

// Only for the test's own cheat.
std::int32_t g_truth_for_cheats = 0;

// Caches of the replicas, each with a log of its events, and one router.
class World {
 public:
  World(const std::string& router, Role role, const Truth& truth)
      : truth_(truth), hidden_(stream(truth.seed, "law/hidden")) {
    const Json kind = router;
    router_ = Registry<Router>::instance().make(ConfigNode(kind, "law"), context(role));
    index_ = std::make_unique<KvIndex>(
        KvIndex::Options{.replicas = static_cast<std::int32_t>(kReplicas),
                         .most_replicas = router_->index_most_replicas()});
    KvEventOptions delays;
    delays.publish = delays.network = Seconds(0.25);
    delays.apply = Seconds(kVisibleAt - 0.5);
    for (std::size_t i = 0; i < kReplicas; ++i) {
      const auto replica = static_cast<std::int32_t>(i);
      logs_.push_back(std::make_unique<KvEventLog>(delays, 1, replica));
      index_->listen(replica, truth.events == Truth::Events::kNone ? nullptr : logs_[i].get());
    }
    for (std::uint64_t text = 0; text < kTexts; ++text) fill_caches(text);
    if (truth.events == Truth::Events::kLate)
      for (const auto& log : logs_) log->step_ended(Seconds(0));
  }

  // Of each ask in turn: what the router was shown is the same for all truths.
  std::vector<std::int32_t> decisions() {
    std::vector<std::int32_t> out;
    for (int i = 0; i < kAsks; ++i) out.push_back(ask(i));
    return out;
  }
  [[nodiscard]] bool needs_events() const { return router_->needs_events(); }

 private:
  static constexpr std::uint64_t kTexts = 6;

  static Router::Context context(Role role) {
    Router::Context context;
    context.role = role;
    context.replicas.assign(kReplicas, {.pool = "pool",
                                        .kv_blocks = 4000,
                                        .kv_token_bytes = Bytes(100'000),
                                        .prefill_tokens_per_s = 10'000});
    context.tiers = {"hbm", "dram", "disk"};
    context.transfer_time = [](std::int32_t, std::int32_t, Bytes bytes) {
      return bytes / Bandwidth(10e9);
    };
    context.prefill_time = [](std::int32_t, std::int64_t, std::int64_t computed) {
      return Seconds(static_cast<double>(computed) * 1e-4);
    };
    context.fetch_time = [](std::int32_t, std::size_t tier, Bytes bytes) {
      return bytes / Bandwidth(tier == 1 ? 20e9 : 5e9);
    };
    return context;
  }

  // One replica, by the hidden draw, holds the text; in a tier by the hidden draw.
  void fill_caches(std::uint64_t text) {
    const Request request = request_of(text, 1);
    const std::size_t holder = hidden_.below(kReplicas);
    const std::size_t tier = hidden_.below(4) / 2;  // HBM or the next
    for (const BlockHash hash : hashes_of(request, {.block_tokens = HashNeed::kEngineBlocks}))
      logs_[holder]->tier(tier)->cached(hash);
  }

  std::int32_t ask(int i) {
    const Seconds now(kBetweenAsks * i);
    feed_back(i, now);
    index_->advance(now);
    for (ReplicaView& view : views_) {
      view.running = static_cast<std::int64_t>(shown_.below(4));
      view.waiting = static_cast<std::int64_t>(shown_.below(2));
      view.kv_usage = 0.1 * shown_.uniform();
      view.scraped = now;
    }
    const std::uint64_t text = shown_.below(kTexts);
    const auto output = static_cast<std::int64_t>(1 + hidden_.below(1000));
    g_truth_for_cheats = static_cast<std::int32_t>(output % kReplicas);
    const Request request = request_of(text, output);
    const std::vector<BlockHash> hashes = hashes_of(request, router_->hashes());
    const Ask ask{.number = i,
                  .input_tokens = request.input.count(),
                  .session = static_cast<std::int64_t>(text),
                  .prompt_hashes = hashes};
    const Decision decision =
        router_->route(ask, {.now = now, .replicas = views_, .cached = index_.get()});
    count(i, decision.replica, ask.input_tokens, +1);
    return decision.replica;
  }

  // Each request gets its first token two asks later and ends after four, whatever its length: a
  // router may see that much of an answer's length, and it is the same here.
  void feed_back(int i, Seconds now) {
    if (i >= 2) router_->first_token(i - 2, now);
    if (i < 4) return;
    router_->ended(i - 4, now);
    const Sent& sent = sent_[static_cast<std::size_t>(i - 4)];
    count(-1, sent.replica, sent.tokens, -1);
  }
  struct Sent {
    std::int32_t replica;
    std::int64_t tokens;
  };
  void count(int i, std::int32_t replica, std::int64_t tokens, std::int64_t sign) {
    if (i >= 0) sent_.push_back({replica, tokens});
    if (replica < 0) return;
    ReplicaView& view = views_[static_cast<std::size_t>(replica)];
    view.in_flight += sign;
    view.in_flight_tokens += sign * tokens;
    view.prefill_tokens += sign * tokens;
  }

  Truth truth_;
  Rng hidden_;
  Rng shown_ = stream(1, "law/shown");
  std::unique_ptr<Router> router_;
  std::vector<std::unique_ptr<KvEventLog>> logs_;
  std::unique_ptr<KvIndex> index_;
  std::vector<ReplicaView> views_ = std::vector<ReplicaView>(kReplicas);
  std::vector<Sent> sent_;
};

std::vector<std::int32_t> decisions(const std::string& router, Role role, const Truth& truth) {
  return World(router, role, truth).decisions();
}

// Of the asks before the events are visible, the last of them 10 ms before.
std::vector<std::int32_t> before_visible(std::vector<std::int32_t> all) {
  all.resize(static_cast<std::size_t>(kVisibleAt / kBetweenAsks));
  return all;
}

// Goes where the truth says: what the comparisons below must notice.
class Cheat final : public Router {
 public:
  using Options = NoOptions;
  Cheat(const Options&, const Context&) {}
  Decision route(const Ask&, const ClusterView&) override { return {g_truth_for_cheats}; }
};
const Register<Router, Cheat> kCheat("cheat", "Of this test only.");

std::vector<std::string> honest_routers() {
  std::vector<std::string> names = Registry<Router>::instance().names();
  std::erase(names, "cheat");
  return names;
}

class RouterSabotage : public testing::TestWithParam<std::string> {
 protected:
  static constexpr std::array kRoles = {Role::kAggregated, Role::kPrefill, Role::kDecode};
};

TEST_P(RouterSabotage, AnswerLengthsAndUnpublishedCachesChangeNothing) {
  for (const Role role : kRoles) {
    const auto one = decisions(GetParam(), role, {1, Truth::Events::kNotPublished});
    EXPECT_EQ(one, decisions(GetParam(), role, {2, Truth::Events::kNotPublished}));
    EXPECT_EQ(one, decisions(GetParam(), role, {3, Truth::Events::kNone}));
  }
}

TEST_P(RouterSabotage, EventsOnTheirWayChangeNothing) {
  for (const Role role : kRoles) {
    const auto none = before_visible(decisions(GetParam(), role, {1, Truth::Events::kNone}));
    for (const std::uint64_t seed : {1, 2, 3}) {
      const auto late = decisions(GetParam(), role, {seed, Truth::Events::kLate});
      EXPECT_EQ(none, before_visible(late)) << "seed " << seed;
    }
  }
}

// Or else the tests above would prove nothing of routers that listen.
TEST_P(RouterSabotage, EventsThatHaveArrivedChangeWhatListenersDecideAndNothingElse) {
  const Truth late{1, Truth::Events::kLate};
  const auto with = decisions(GetParam(), Role::kAggregated, late);
  const auto without = decisions(GetParam(), Role::kAggregated, {1, Truth::Events::kNone});
  EXPECT_EQ(with != without, World(GetParam(), Role::kAggregated, late).needs_events());
}

INSTANTIATE_TEST_SUITE_P(AllRouters, RouterSabotage, testing::ValuesIn(honest_routers()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST(RouterKnowledge, TheComparisonNoticesACheat) {
  const Truth one{1, Truth::Events::kNotPublished};
  const Truth other{2, Truth::Events::kNotPublished};
  EXPECT_NE(decisions("cheat", Role::kAggregated, one),
            decisions("cheat", Role::kAggregated, other));
}

}  // namespace
}  // namespace kvsim
