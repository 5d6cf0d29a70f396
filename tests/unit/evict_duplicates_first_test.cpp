// The policy that weighs where else an entry lies.
#include <gtest/gtest.h>

#include <map>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/kv/eviction.hpp"

namespace kvsim {
namespace {

class DuplicatesFirst : public ::testing::Test {
 protected:
  std::unique_ptr<Eviction> make(const char* kind, std::int64_t candidates = 0) {
    Json config = {{"kind", kind}};
    if (candidates > 0) config["candidates"] = candidates;
    Eviction::Context context;
    context.capacity = 100;
    context.recompute = Seconds(1);
    context.refetch = [this](BlockHash key) -> std::optional<Seconds> {
      const auto found = below_.find(key);
      if (found == below_.end()) return std::nullopt;
      return found->second;
    };
    return Registry<Eviction>::instance().make(ConfigNode(config, "test"), context);
  }
  static void store(Eviction& policy, BlockHash key) {
    policy.inserted(key);
    policy.unpinned(key);
  }

  std::map<BlockHash, Seconds> below_;  // what fetching it from below takes
};

TEST_F(DuplicatesFirst, WhatAlsoLiesBelowGoesBeforeWhatIsColder) {
  const auto policy = make("duplicates-first");
  for (BlockHash key = 1; key <= 5; ++key) store(*policy, key);
  below_ = {{3, Seconds(0.2)}, {4, Seconds(0.1)}};
  EXPECT_EQ(policy->evict(), 4u);
  EXPECT_EQ(policy->evict(), 3u);
  EXPECT_EQ(policy->evict(), 1u);
}

TEST_F(DuplicatesFirst, ABusyWayBackIsNoBetterThanComputingAgain) {
  const auto policy = make("duplicates-first");
  for (BlockHash key = 1; key <= 3; ++key) store(*policy, key);
  below_ = {{2, Seconds(1.5)}};
  EXPECT_EQ(policy->evict(), 1u);
  below_ = {{3, Seconds(1 - 1e-9)}};
  EXPECT_EQ(policy->evict(), 3u);
}

TEST_F(DuplicatesFirst, OnlyTheColdestAreWeighed) {
  const auto policy = make("duplicates-first", 2);
  for (BlockHash key = 1; key <= 5; ++key) store(*policy, key);
  below_ = {{3, Seconds(0.1)}};
  EXPECT_EQ(policy->evict(), 1u);
  EXPECT_EQ(policy->evict(), 3u);  // among the two coldest now
}

TEST_F(DuplicatesFirst, WithoutDuplicatesItIsLeastRecentlyUsed) {
  const auto ours = make("duplicates-first");
  const auto lru = make("lru");
  Rng rng(5);
  std::map<BlockHash, int> held;
  for (int step = 0; step < 3000; ++step) {
    const BlockHash key = 1 + rng.below(60);
    ours->touched(key);
    lru->touched(key);
    if (held.contains(key)) continue;
    if (held.size() == 25) {
      const auto victim = ours->evict();
      ASSERT_EQ(victim, lru->evict()) << "step " << step;
      held.erase(*victim);
    }
    held[key] = 1;
    store(*ours, key);
    store(*lru, key);
  }
}

}  // namespace
}  // namespace kvsim
