// What every store must keep to, whatever is behind it.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/base/rng.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr std::int64_t kCapacity = 200 * kMega;

// A small store of that kind: about kCapacity of values; what it is called in its options.
Json small(const std::string& kind) {
  Json config = {{"kind", kind}};
  if (kind == "redis" || kind == "valkey") {
    config["maxmemory_bytes"] = kCapacity;
    config["maxmemory_policy"] = "allkeys-lru";
    config["allocator"] = "exact";
  } else if (kind == "kvrocks") {
    config["disk"] = "ssd";
    config["max_db_bytes"] = kCapacity;
    config["workers"] = 4;
    config["lsm"] = {{"write_buffer_bytes", 8 * kMega},
                     {"target_file_size_base_bytes", 16 * kMega},
                     {"max_bytes_for_level_base_bytes", 32 * kMega}};
  } else if (kind == "files") {
    config["disk"] = "ssd";
    config["capacity_bytes"] = kCapacity;
    config["eviction"] = "lru";
  } else if (kind == "mooncake") {
    config["segments"] = 2;
    config["segment_bytes"] = kCapacity / 2;
  } else {
    ADD_FAILURE() << "no small configuration for " << kind;
  }
  return config;
}

class EveryStore : public testing::TestWithParam<std::string> {
 protected:
  static Json config() { return small(GetParam()); }
};

TEST_P(EveryStore, FindsWhatWasPutAndNothingElse) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    const auto& before = world.send(*store, 0, Verb::kGet, 1);
    const auto& put = world.send(*store, 1, Verb::kPut, 1, 3 * kMega);
    const auto& get = world.send(*store, 2, Verb::kGet, 1);
    const auto& other = world.send(*store, 2, Verb::kGet, 2);
    const auto& exists = world.send(*store, 2, Verb::kExists, 1);
    world.world.run();
    EXPECT_EQ(before.command.answer, Answer::kMissing);
    EXPECT_EQ(put.command.answer, Answer::kStored);
    EXPECT_EQ(get.command.answer, Answer::kFound);
    EXPECT_EQ(get.command.bytes, Bytes(3 * kMega));
    EXPECT_EQ(other.command.answer, Answer::kMissing);
    EXPECT_EQ(exists.command.answer, Answer::kFound);
    EXPECT_TRUE(store->contains(1));
    EXPECT_FALSE(store->contains(2));
    const StoreUse use = store->use();
    EXPECT_EQ(use.gets, 3);
    EXPECT_EQ(use.hits, 1);
    EXPECT_EQ(use.puts, 1);
    EXPECT_EQ(use.stored, Bytes(3 * kMega));
    EXPECT_EQ(use.live, Bytes(3 * kMega));
  });
}

TEST_P(EveryStore, AnswersTakeTimeAndSayWhereItWent) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    const auto& put = world.send(*store, 0, Verb::kPut, 1, 30 * kMega);
    const auto& get = world.send(*store, 5, Verb::kGet, 1);
    world.world.run();
    for (const auto* one : {&put, &get}) {
      EXPECT_GT(one->took(), 0);
      Seconds sum{0};
      for (const Seconds part : one->command.times.seconds) sum += part;
      EXPECT_NEAR(sum.count(), one->took(), 1e-9);
    }
  });
}

TEST_P(EveryStore, ForgetsWhatIsRemoved) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    world.send(*store, 0, Verb::kPut, 1, kMega);
    const auto& removed = world.send(*store, 20, Verb::kRemove, 1);
    const auto& get = world.send(*store, 30, Verb::kGet, 1);
    world.world.run();
    EXPECT_EQ(removed.command.answer, Answer::kFound);
    EXPECT_EQ(get.command.answer, Answer::kMissing);
    EXPECT_FALSE(store->contains(1));
    EXPECT_EQ(store->use().live, Bytes(0));
  });
}

TEST_P(EveryStore, ARefusedValueChangesNothing) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    world.send(*store, 0, Verb::kPut, 1, kMega);
    const auto& huge = world.send(*store, 1, Verb::kPut, 2, 100 * kCapacity);
    world.world.run();
    EXPECT_EQ(huge.command.answer, Answer::kRefused);
    EXPECT_FALSE(store->contains(2));
    // Mooncake makes room for the next one after it has refused.
    EXPECT_EQ(store->use().live + store->use().evicted, Bytes(kMega));
    EXPECT_EQ(store->contains(1), store->use().evicted == Bytes(0));
    EXPECT_EQ(store->use().refused, Bytes(100 * kCapacity));
  });
}

// Random commands; what was answered, in order, and when.
std::vector<double> script(const Json& config, std::uint64_t seed) {
  StoreWorld world;
  const auto store = world.make(config);
  Rng rng(seed);
  double at = 0;
  for (int i = 0; i < 600; ++i) {
    at += rng.exponential(0.01);
    const std::uint64_t what = rng.below(20);
    const Verb verb = what < 9    ? Verb::kPut
                      : what < 17 ? Verb::kGet
                      : what < 19 ? Verb::kExists
                                  : Verb::kRemove;
    const StoreKey key = mix64(1 + rng.below(150));
    const auto bytes = static_cast<std::int64_t>(1000 + rng.below(6) * kMega);
    world.send(*store, at, verb, key, verb == Verb::kPut ? bytes : 0,
               static_cast<std::int64_t>(rng.below(16)));
  }
  world.world.run();
  std::vector<double> out;
  for (const auto& one : world.sent) {
    out.push_back(static_cast<double>(one->command.answer));
    out.push_back(one->ended);
  }
  const StoreUse use = store->use();
  out.push_back(use.live.real());
  double most = 0;  // busy over elapsed times servers
  for (const ResourceUse& resource : store->resources())
    most = std::max(most, resource.busy.count() / (world.tasks.now().count() * resource.servers));
  out.push_back(most);
  return out;
}

TEST_P(EveryStore, AnswersEveryCommandAndStaysWithinItsCapacity) {
  const std::vector<double> out = numbers_of_child([] { return script(config(), 7); });
  ASSERT_EQ(out.size(), 1202U);
  for (std::size_t i = 0; i < 1200; i += 2) {
    EXPECT_NE(out[i], static_cast<double>(Answer::kNone)) << i;
    EXPECT_NE(out[i], static_cast<double>(Answer::kFailed)) << i;
    EXPECT_GE(out[i + 1], 0) << i;
  }
  EXPECT_LE(out[1200], kCapacity);
  EXPECT_GT(out[1200], 0);
  EXPECT_LE(out[1201], 1 + 1e-9) << "busy for longer than there was time";
  EXPECT_GT(out[1201], 0);
}

TEST_P(EveryStore, DoesTheSameAgain) {
  const auto once = [] { return numbers_of_child([] { return script(config(), 3); }); };
  EXPECT_EQ(once(), once());
}

TEST_P(EveryStore, HoldsWhatWasPreloaded) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    for (StoreKey key = 1; key <= 20; ++key) EXPECT_TRUE(store->preload(mix64(key), Bytes(kMega)));
    EXPECT_EQ(store->use().live, Bytes(20 * kMega));
    EXPECT_EQ(store->use().stored, Bytes(0));
    const auto& get = world.send(*store, 0, Verb::kGet, mix64(20));
    world.world.run();
    EXPECT_EQ(get.command.answer, Answer::kFound);
    EXPECT_EQ(get.command.bytes, Bytes(kMega));
  });
}

TEST_P(EveryStore, RefusesToPreloadMoreThanItCanHold) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    bool all = true;
    for (StoreKey key = 1; key <= 1000; ++key) all &= store->preload(mix64(key), Bytes(kMega));
    EXPECT_FALSE(all);
    EXPECT_LE(store->use().live, Bytes(kCapacity));
  });
}

TEST_P(EveryStore, WarmRestartsKeepAllAndColdOnesKeepNoMore) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    for (StoreKey key = 1; key <= 20; ++key) EXPECT_TRUE(store->preload(mix64(key), Bytes(kMega)));
    store->restart(true);
    EXPECT_EQ(store->use().live, Bytes(20 * kMega));
    store->restart(false);
    EXPECT_LE(store->use().live, Bytes(20 * kMega));
    int there = 0;
    for (StoreKey key = 1; key <= 20; ++key) there += store->contains(mix64(key)) ? 1 : 0;
    EXPECT_EQ(store->use().live, Bytes(there * kMega));
  });
}

TEST_P(EveryStore, ADeadOneFailsAtOnceAndLosesWhatItWasServing) {
  in_child([] {
    StoreWorld world;
    Json dead = config();
    dead["outages"] = {{{"at_s", 10}, {"for_s", 5}, {"kind", "dead"}, {"restart", "warm"}}};
    const auto store = world.make(dead);
    world.send(*store, 0, Verb::kPut, 1, kMega);
    const auto& cut = world.send(*store, 10 - 1e-6, Verb::kPut, 2, 50 * kMega);
    const auto& during = world.send(*store, 12, Verb::kGet, 1);
    const auto& last = world.send(*store, 15 - 1e-6, Verb::kGet, 1);
    const auto& after = world.send(*store, 15, Verb::kGet, 1);
    const auto& lost = world.send(*store, 16, Verb::kGet, 2);
    world.world.run();
    EXPECT_EQ(cut.command.answer, Answer::kFailed);
    EXPECT_NEAR(cut.ended, 10, 1e-9);
    EXPECT_EQ(during.command.answer, Answer::kFailed);
    EXPECT_EQ(during.took(), 0);
    EXPECT_EQ(last.command.answer, Answer::kFailed);
    EXPECT_EQ(after.command.answer, Answer::kFound);
    EXPECT_EQ(lost.command.answer, Answer::kMissing);
  });
}

TEST_P(EveryStore, AHungOneAnswersWhenItGoesOn) {
  in_child([] {
    StoreWorld world;
    Json hung = config();
    hung["outages"] = {{{"at_s", 10}, {"for_s", 5}, {"kind", "hung"}, {"restart", "warm"}}};
    const auto store = world.make(hung);
    world.send(*store, 0, Verb::kPut, 1, kMega);
    const auto& before = world.send(*store, 9, Verb::kGet, 1);
    const auto& during = world.send(*store, 12, Verb::kGet, 1);
    const auto& across = world.send(*store, 10 - 1e-7, Verb::kPut, 2, 10 * kMega);
    world.world.run();
    EXPECT_LT(before.ended, 10);
    EXPECT_EQ(during.command.answer, Answer::kFound);
    EXPECT_GT(during.ended, 15);
    EXPECT_LT(during.ended, 15.1);
    EXPECT_EQ(across.command.answer, Answer::kStored);
    EXPECT_GE(across.ended, 15);
  });
}

TEST_P(EveryStore, AHungOneThatIsKilledFailsAllThatWaited) {
  in_child([] {
    StoreWorld world;
    Json hung = config();
    hung["outages"] = {{{"at_s", 10}, {"for_s", 5}, {"kind", "hung"}, {"restart", "cold"}}};
    const auto store = world.make(hung);
    const auto& during = world.send(*store, 12, Verb::kPut, 1, kMega);
    world.world.run();
    EXPECT_EQ(during.command.answer, Answer::kFailed);
    EXPECT_NEAR(during.ended, 15, 1e-9);
    EXPECT_FALSE(store->contains(1));
  });
}

TEST_P(EveryStore, OutagesOutOfOrderAreTheUsersMistake) {
  in_child([] {
    StoreWorld world;
    Json wrong = config();
    wrong["outages"] = {{{"at_s", 10}, {"for_s", 5}}, {{"at_s", 12}, {"for_s", 5}}};
    EXPECT_THROW((void)world.make(wrong), ConfigError);
  });
}

TEST_P(EveryStore, LargerValuesAreEstimatedToTakeLonger) {
  in_child([] {
    StoreWorld world;
    const auto store = world.make(config());
    EXPECT_GT(store->estimate_get(Bytes(1)), Seconds(0));
    EXPECT_GT(store->estimate_get(Bytes(50 * kMega)), store->estimate_get(Bytes(kMega)));
  });
}

INSTANTIATE_TEST_SUITE_P(Registered, EveryStore,
                         testing::ValuesIn(Registry<Store>::instance().names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kvsim
