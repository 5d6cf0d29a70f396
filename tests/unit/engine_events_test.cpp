// What engines and connectors tell of their caches, and what a crash leaves of them: an engine
// alone, without a front end. A step takes 10 ms and more for prompts, a block 1 ms over the link.
#include <gtest/gtest.h>

#include <map>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/des/agenda.hpp"
#include "sim/engine/engine.hpp"
#include "sim/kv/kv_events.hpp"
#include "sim/kv/kv_index.hpp"
#include "sim/store/store_client.hpp"
#include "sim/workload/content_stream.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kBlockTokens = 16;
constexpr std::int64_t kBlockBytes = 1'000'000;

class TenMilliseconds : public StepTime {
 public:
  Seconds gpu(const StepShape& shape) const override {
    return Seconds(0.01 + 1e-5 * static_cast<double>(shape.prefill_tokens));
  }
  Seconds cpu(const StepShape&) const override { return Seconds(0); }
  std::int64_t window() const override { return 0; }
};

struct Setting {
  Json connector;  // null = none
  bool async = false;
  bool coalesce = true;
  std::int64_t kv_blocks = 1001;
  KvEventOptions events;
};

Setting with(const Json& connector, std::int64_t kv_blocks = 1001) {
  Setting out;
  out.connector = connector;
  out.kv_blocks = kv_blocks;
  return out;
}

// One replica and its machine, which has a disk and a store, "kv".
class Replica : public EngineListener, private StoreAccess {
 public:
  explicit Replica(const Setting& setting)
      : log(setting.events, 1, 0),
        link_(around_.world, "pcie", {Bandwidth(1e9), Bandwidth(1e9)},
              {Bandwidth(1e9), Bandwidth(1e9)}),
        to_host_(around_.world, "up", "pcie", {link_.link(DuplexLink::kUp)}, &link_,
                 DuplexLink::kUp),
        to_device_(around_.world, "down", "pcie", {link_.link(DuplexLink::kDown)}, &link_,
                   DuplexLink::kDown),
        engine(around_.world, options(setting), std::make_unique<TenMilliseconds>(), *this),
        agenda_(around_.world, Priority::kClient,
                [](std::function<void()>& act, Seconds) { act(); }) {
    store_ = around_.make({{"kind", "redis"}, {"maxmemory_bytes", 1'000'000'000'000}});
    wire_ = std::make_unique<Wire>(around_.tasks, Wire::Options{});
    route_.shards.push_back({store_.get(), wire_.get(), &around_.host});
    if (!setting.connector.is_null()) connect(setting.connector);
    engine.set_events(&log);
  }
  ~Replica() override { around_.tasks.clear(); }

  void at(double time, std::function<void()> act) { agenda_.add(Seconds(time), std::move(act)); }
  void run() { around_.world.run(); }
  [[nodiscard]] double now() { return around_.world.now().count(); }

  std::size_t submit(const std::vector<ContentRun>& prompt, std::int64_t output) {
    sequences.push_back(std::make_unique<Sequence>());
    Sequence& sequence = *sequences.back();
    sequence.request.id = static_cast<std::int64_t>(sequences.size());
    for (const ContentRun& run : prompt) sequence.request.input += Tokens(run.length);
    sequence.request.output = Tokens(output);
    sequence.request.prompt = prompt;
    sequence.request.answer_stream = content_stream(StreamKind::kAnswer, sequences.size());
    outcomes.push_back(Outcome::kUnfinished);
    engine.submit(sequence);
    return sequences.size() - 1;
  }
  // The process dies: what it has fails, its tiers are empty, it tells so when it is back.
  void crash() {
    for (std::size_t i = 0; i < sequences.size(); ++i)
      if (outcomes[i] == Outcome::kUnfinished) engine.abort(*sequences[i], Outcome::kFailed);
    if (engine.connector() != nullptr) engine.connector()->crashed();
    log.cleared();
  }

  void first_token(Sequence& sequence, Seconds now) override { sequence.record.first_token = now; }
  void ended(Sequence& sequence, Outcome outcome, Seconds) override {
    outcomes[static_cast<std::size_t>(sequence.request.id) - 1] = outcome;
  }
  void token_gap(std::int32_t, Seconds, std::int64_t, Seconds) override {}

  KvEventLog log;
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Outcome> outcomes;

 private:
  static Engine::Options options(const Setting& setting) {
    Engine::Options out;
    out.async_scheduling = setting.async;
    out.coalesce = setting.coalesce;
    out.kv_blocks = setting.kv_blocks;
    out.limits.max_batched_tokens = 512;
    return out;
  }
  const StoreRoute& find(const std::string&) override { return route_; }
  void connect(const Json& plugin) {
    Connector::Context context{
        .tasks = around_.tasks,
        .host = around_.host,
        .stores = *this,
        .name = "replica",
        .model = "model",
        .pool = engine.pool(),
        .block_tokens = kBlockTokens,
        .block_bytes = Bytes(kBlockBytes),
        .layers = 4,
        .to_host = to_host_,
        .to_device = to_device_,
        .to_device_rate = Bandwidth(1e9),
        .descriptor = Seconds(0),
        .rate_limit = [](Bytes) { return Bandwidth(0); },
        .loaded = [this](KvSequence& sequence,
                         std::int64_t tokens) { engine.on_loaded(sequence, tokens); },
        .missed = [this](KvSequence& sequence,
                         std::int64_t tokens) { engine.on_missed(sequence, tokens); },
        .changed = [this] { engine.on_changed(); },
    };
    engine.set_connector(
        Registry<Connector>::instance().make(ConfigNode(plugin, "connector"), context));
  }

  StoreWorld around_;
  DuplexLink link_;
  Lane to_host_;
  Lane to_device_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Wire> wire_;
  StoreRoute route_;

 public:
  Engine engine;

 private:
  Agenda<std::function<void()>> agenda_;
};

ContentRun text(std::uint64_t number, std::int64_t length) {
  return {content_stream(StreamKind::kShared, number), 0, length};
}

// Every connector that tells, with room for about `blocks` in DRAM, and how many blocks an entry of
// its first tier has.
struct Case {
  Json plugin;
  std::int64_t told;
};
std::map<std::string, Case> cases(std::int64_t blocks) {
  const std::int64_t bytes = blocks * kBlockBytes;
  return {
      {"native", {{{"kind", "native"}, {"cpu_bytes", bytes}, {"prompt_only", false}}, 1}},
      {"native by chunks",
       {{{"kind", "native"}, {"cpu_bytes", bytes}, {"blocks_per_chunk", 4}}, 4}},
      {"native over a store",
       {{{"kind", "native"}, {"cpu_bytes", bytes}, {"secondary", {{{"store", "kv"}}}}}, 1}},
      {"kvbm",
       {{{"kind", "kvbm"},
         {"cpu_bytes", bytes},
         {"disk", "ssd"},
         {"disk_bytes", 4 * bytes},
         {"disk_filter", false}},
        1}},
      {"kvbm over a store", {{{"kind", "kvbm"}, {"cpu_bytes", bytes}, {"remote", "kv"}}, 1}},
      {"hicache", {{{"kind", "hicache"}, {"size_bytes", bytes}, {"storage", "kv"}}, 1}},
      {"hicache, write-back",
       {{{"kind", "hicache"}, {"size_bytes", bytes}, {"write_policy", "write_back"}}, 1}},
      {"trtllm-host", {{{"kind", "trtllm-host"}, {"host_cache_bytes", bytes}}, 1}},
      {"lmcache",
       {{{"kind", "lmcache"},
         {"max_local_cpu_bytes", bytes},
         {"chunk_tokens", 64},
         {"remote", "kv"}},
        4}},
      {"lmcache, async",
       {{{"kind", "lmcache"},
         {"max_local_cpu_bytes", bytes},
         {"chunk_tokens", 64},
         {"remote", "kv"},
         {"enable_async_loading", true}},
        4}},
      {"lmcache by layer",
       {{{"kind", "lmcache"},
         {"max_local_cpu_bytes", bytes},
         {"chunk_tokens", 64},
         {"use_layerwise", true}},
        4}},
      {"lmcache-mp", {{{"kind", "lmcache-mp"}, {"l1_bytes", bytes}, {"chunk_tokens", 64}}, 4}},
  };
}

// Requests over a few texts, that come faster than they go at times.
void random_requests(Replica& replica, Rng& rng, int count, double from, double until) {
  for (int i = 0; i < count; ++i) {
    const double at = rng.uniform(from, until);
    const auto shared = static_cast<std::int64_t>(16 * rng.below(12));
    const std::vector<ContentRun> prompt = {text(rng.below(4), shared + 1),
                                            text(100 + rng.below(1000), 1 + rng.below(100))};
    const auto output = static_cast<std::int64_t>(1 + rng.below(60));
    replica.at(at, [&replica, prompt, output] { replica.submit(prompt, output); });
  }
}

// Its events as numbers.
std::vector<double> told(KvEventLog& log) {
  std::vector<double> out;
  for (const KvEvent& event : log.visible(Seconds(1e9))) {
    out.push_back(event.at.count());
    out.push_back(static_cast<double>(event.hash));
    out.push_back(10 * event.tier + static_cast<int>(event.kind));
  }
  return out;
}

// vLLM makes its statistics when a step has ended and before it plans the next one, so that what a
// step admits shows in its metrics only when that step is over.
TEST(EngineMetrics, ShowTheEndOfTheLastStepNotWhatTheNextOneHasAdmitted) {
  in_child([] {
    Replica replica(with(Json()));
    // The first step takes 10 + 5.12 ms; the second, 511 tokens of the other prompt beside a
    // decode, 10 + 5.11 ms.
    replica.at(0, [&] { replica.submit({text(1, 512)}, 100); });
    replica.at(0.001, [&] { replica.submit({text(2, 512)}, 100); });
    const auto expect = [&](double time, std::int64_t running, std::int64_t inside) {
      replica.at(time, [&replica, time, running, inside] {
        EXPECT_EQ(replica.engine.published(Seconds(time)).running, running) << time;
        EXPECT_EQ(replica.engine.gauges(Seconds(time)).running, inside) << time;
      });
    };
    expect(0.015, 0, 1);
    expect(0.0153, 1, 2);  // the second step, of 15.11 ms, has begun
    expect(0.0301, 1, 2);
    expect(0.0304, 2, 2);
    replica.run();
    EXPECT_EQ(replica.engine.published(Seconds(1e3)).running, 0);
  });
}

TEST(EngineEvents, AreTheSameStepByStepAndCoalesced) {
  std::map<std::string, Case> all = cases(60);
  all["none"] = {Json(), 0};
  for (const auto& [name, one] : all) {
    for (const bool async : {false, true}) {
      SCOPED_TRACE(name + (async ? ", async" : ""));
      const auto events_of = [&, plugin = one.plugin](bool coalesce) {
        return numbers_of_child([&] {
          Setting setting = with(plugin, 81);
          setting.async = async;
          setting.coalesce = coalesce;
          Replica replica(setting);
          Rng rng(3);
          random_requests(replica, rng, 40, 0, 3);
          replica.run();
          return told(replica.log);
        });
      };
      const std::vector<double> coalesced = events_of(true);
      const std::vector<double> stepped = events_of(false);
      EXPECT_GT(stepped.size(), 300U);
      ASSERT_EQ(coalesced.size(), stepped.size());
      for (std::size_t i = 0; i < stepped.size(); ++i)
        ASSERT_NEAR(coalesced[i], stepped[i], 1e-9) << "number " << i;
    }
  }
}

TEST(EngineEvents, AreStampedWithTheEndOfTheStepThatFilledTheBlock) {
  in_child([] {
    Setting setting;
    setting.events.publish = setting.events.network = Seconds(0);
    setting.events.apply = Seconds(0.5);
    Replica replica(setting);
    replica.at(1, [&] { replica.submit({text(1, 40)}, 1); });
    replica.run();
    const auto events = replica.log.visible(Seconds(100));
    ASSERT_EQ(events.size(), 2U);  // two full blocks
    EXPECT_NEAR(events[0].at.count(), 1 + 0.01 + 40e-5 + 0.5, 1e-9);
    EXPECT_EQ(events[0].tier, 0);
  });
}

TEST(EngineEvents, AnIndexHoldsWhatTheLowerTiersGive) {
  for (const auto& [name, one] : cases(400)) {
    SCOPED_TRACE(name);
    in_child([&, one = one] {
      Replica replica(with(one.plugin, 40));
      const auto ask = [&](std::uint64_t number) { replica.submit({text(number, 325)}, 1); };
      // The others drive the first out of HBM.
      for (const int number : {1, 2, 3})
        replica.at(10 * number, [&ask, number] { ask(static_cast<std::uint64_t>(number)); });
      KvIndex::Options options;
      options.group_blocks[1] =
          static_cast<std::int32_t>(replica.engine.connector()->told_blocks(0));
      EXPECT_EQ(options.group_blocks[1], one.told);
      KvIndex index(options);
      std::int64_t expected = 0;
      replica.at(40, [&] {
        replica.engine.pool().clear();
        index.listen(0, &replica.log);
        index.advance(Seconds(40));
        std::vector<KvMatch> matches;
        const Sequence& first = *replica.sequences.front();
        index.match(std::span(first.hashes).first(20), matches);
        // Of those only what lies below HBM is still there.
        expected = matches[0].all() * kBlockTokens;
        ask(1);
      });
      replica.run();
      const auto& hits = replica.sequences.back()->record.hit_tokens;
      EXPECT_EQ(expected, 320);
      EXPECT_EQ(hits[0], 0);
      EXPECT_EQ(hits[1] + hits[2] + hits[3], expected);
    });
  }
}

TEST(EngineEvents, TheDiskOfKvbmIsATierOfItsOwn) {
  in_child([] {
    Replica replica(with({{"kind", "kvbm"},
                          {"cpu_bytes", 20 * kBlockBytes},
                          {"disk", "ssd"},
                          {"disk_bytes", 100 * kBlockBytes},
                          {"disk_filter", false}},
                         40));
    replica.at(0, [&] { replica.submit({text(1, 325)}, 1); });
    replica.at(10, [&] { replica.submit({text(2, 325)}, 1); });
    // Changes between steps are published with the next one.
    replica.at(20, [&] { replica.submit({text(3, 15)}, 1); });
    replica.run();
    KvIndex index(KvIndex::Options{});
    index.listen(0, &replica.log);
    index.advance(Seconds(100));
    std::vector<KvMatch> matches;
    index.match(std::span(replica.sequences[0]->hashes).first(20), matches);
    EXPECT_EQ(matches[0].all(), 20);
    EXPECT_GT(matches[0].in(2), 0);
  });
}

TEST(Crash, EverySequenceAndBlockComesBackAndNothingOfTheProcessStays) {
  for (const auto& [name, one] : cases(60)) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      SCOPED_TRACE(name + ", seed " + std::to_string(seed));
      in_child([&, one = one] {
        Setting setting = with(one.plugin, 81);
        setting.async = seed % 2 == 0;
        Replica replica(setting);
        Rng rng(seed);
        random_requests(replica, rng, 40, 0, 2);
        const double crash = rng.uniform(0.1, 2);
        for (double late = 0; late < 2; late += 0.31)  // those who come meanwhile fail too
          replica.at(crash + late, [&] { replica.crash(); });
        std::size_t before = 0;
        replica.at(100, [&] {
          before = replica.sequences.size();
          EXPECT_EQ(replica.engine.pool().free(), replica.engine.pool().total() - 1);
          for (const Outcome outcome : replica.outcomes) EXPECT_NE(outcome, Outcome::kUnfinished);
          replica.engine.pool().clear();
          const std::string kind = one.plugin["kind"];
          const bool stays = kind == "lmcache-mp" || one.plugin.contains("remote") ||
                             one.plugin.contains("secondary") || one.plugin.contains("storage");
          for (std::uint64_t number = 0; number < 4 && !stays; ++number)
            replica.submit({text(number, 65)}, 1);
        });
        random_requests(replica, rng, 40, 110, 112);
        replica.run();
        EXPECT_EQ(replica.engine.pool().free(), replica.engine.pool().total() - 1);
        for (std::size_t i = before; i < replica.sequences.size(); ++i) {
          EXPECT_EQ(replica.outcomes[i], Outcome::kCompleted) << "request " << i;
          if (replica.sequences[i]->received > Seconds(105)) continue;
          const auto& hits = replica.sequences[i]->record.hit_tokens;
          EXPECT_EQ(hits[0] + hits[1] + hits[2] + hits[3], 0) << "request " << i;
        }
      });
    }
  }
}

TEST(Crash, WhatLiesInAStoreOrAServerStays) {
  for (const char* name : {"native over a store", "kvbm over a store", "lmcache", "lmcache-mp"}) {
    SCOPED_TRACE(name);
    const Json plugin = cases(400).at(name).plugin;
    in_child([&] {
      Replica replica(with(plugin));
      replica.at(0, [&] { replica.submit({text(1, 325)}, 1); });
      replica.at(10, [&] {
        replica.crash();
        replica.engine.pool().clear();
      });
      replica.at(20, [&] { replica.submit({text(1, 325)}, 1); });
      replica.run();
      const auto& hits = replica.sequences.back()->record.hit_tokens;
      EXPECT_EQ(hits[0], 0);
      EXPECT_EQ(hits[1] + hits[2] + hits[3], 320);
    });
  }
}

}  // namespace
}  // namespace kvsim
