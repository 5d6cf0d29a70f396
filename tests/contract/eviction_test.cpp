// What every eviction policy must keep to, and what none can beat.
#include "sim/kv/eviction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

std::unique_ptr<Eviction> make_policy(const std::string& name, std::int64_t capacity) {
  const Json config = name;
  return Registry<Eviction>::instance().make(ConfigNode(config, "test"), {.capacity = capacity});
}

// Popular keys, a slow drift and a scan now and then.
std::vector<BlockHash> accesses(std::uint64_t seed, int count) {
  Rng rng(seed);
  std::vector<BlockHash> out;
  for (int i = 0; i < count; ++i) {
    const double u = rng.uniform();
    if (u < 0.6) {
      out.push_back(1 + static_cast<BlockHash>(60 * rng.uniform() * rng.uniform()) + i / 500);
    } else if (u < 0.9) {
      out.push_back(1000 + rng.below(200));
    } else {
      out.push_back(100'000 + static_cast<BlockHash>(i));
    }
  }
  return out;
}

// Hits of a cache that stores every miss and evicts as `policy` says; with the victims in order.
std::int64_t hits_of(Eviction& policy, std::size_t capacity, const std::vector<BlockHash>& keys,
                     std::vector<BlockHash>* victims = nullptr) {
  std::set<BlockHash> present;
  std::int64_t hits = 0;
  for (const BlockHash key : keys) {
    policy.touched(key);
    if (present.contains(key)) {
      ++hits;
      continue;
    }
    if (present.size() == capacity) {
      const BlockHash victim = policy.evict().value();
      present.erase(victim);
      if (victims != nullptr) victims->push_back(victim);
    }
    present.insert(key);
    policy.inserted(key);
    policy.unpinned(key);
  }
  return hits;
}

// The best that any policy could do: evict what is needed again the latest.
std::int64_t belady_hits(std::size_t capacity, const std::vector<BlockHash>& keys) {
  constexpr std::size_t kNever = SIZE_MAX;
  std::vector<std::size_t> next(keys.size(), kNever);
  std::map<BlockHash, std::size_t> seen;
  for (std::size_t i = keys.size(); i-- > 0;) {
    if (const auto later = seen.find(keys[i]); later != seen.end()) next[i] = later->second;
    seen[keys[i]] = i;
  }
  std::map<BlockHash, std::size_t> present;  // key -> next use
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (present.contains(keys[i])) {
      ++hits;
    } else if (present.size() == capacity) {
      present.erase(
          std::max_element(present.begin(), present.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    present[keys[i]] = next[i];
  }
  return hits;
}

class EveryEviction : public testing::TestWithParam<std::string> {};

TEST_P(EveryEviction, NamesEachUnpinnedEntryOnceAndNeverAPinnedOne) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    Rng rng(seed);
    const auto policy = make_policy(GetParam(), 40);
    std::set<BlockHash> idle;
    std::set<BlockHash> pinned;
    std::set<BlockHash> writing;
    const auto any = [&](const std::set<BlockHash>& from) {
      return *std::next(from.begin(), static_cast<std::ptrdiff_t>(rng.below(from.size())));
    };
    for (int i = 0; i < 20'000; ++i) {
      const std::uint64_t what = rng.below(6);
      const BlockHash key = 1 + rng.below(120);
      if (what == 0) {
        policy->touched(key);
      } else if (what == 1 && !idle.empty()) {
        const BlockHash chosen = any(idle);
        policy->pinned(chosen);
        idle.erase(chosen);
        pinned.insert(chosen);
      } else if (what == 2 && !pinned.empty()) {
        const BlockHash chosen = any(pinned);
        policy->unpinned(chosen);
        pinned.erase(chosen);
        idle.insert(chosen);
      } else if (what == 3 && !writing.empty()) {
        const BlockHash chosen = any(writing);
        writing.erase(chosen);
        if (rng.below(4) == 0) {
          policy->removed(chosen);
        } else {
          policy->unpinned(chosen);
          idle.insert(chosen);
        }
      } else if (!idle.contains(key) && !pinned.contains(key) && !writing.contains(key)) {
        if (idle.size() + pinned.size() + writing.size() >= 40) {
          const std::optional<BlockHash> victim = policy->evict();
          ASSERT_EQ(victim.has_value(), !idle.empty()) << "seed " << seed;
          if (!victim) continue;
          ASSERT_EQ(idle.erase(*victim), 1U) << "seed " << seed;
          if (*victim == key) continue;
        }
        policy->inserted(key);
        writing.insert(key);
      }
    }
    while (!idle.empty()) ASSERT_EQ(idle.erase(policy->evict().value()), 1U);
    EXPECT_FALSE(policy->evict().has_value());
  }
}

TEST_P(EveryEviction, HasNoVictimWhenAllIsPinned) {
  const auto policy = make_policy(GetParam(), 2);
  EXPECT_FALSE(policy->evict().has_value());
  policy->inserted(1);
  EXPECT_FALSE(policy->evict().has_value()) << "being written";
  policy->unpinned(1);
  policy->pinned(1);
  EXPECT_FALSE(policy->evict().has_value()) << "being read";
  policy->unpinned(1);
  EXPECT_EQ(policy->evict(), BlockHash{1});
}

TEST_P(EveryEviction, ChoosesTheSameVictimsAgain) {
  const std::vector<BlockHash> keys = accesses(1, 20'000);
  std::vector<BlockHash> first;
  std::vector<BlockHash> second;
  (void)hits_of(*make_policy(GetParam(), 64), 64, keys, &first);
  (void)hits_of(*make_policy(GetParam(), 64), 64, keys, &second);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, second);
}

TEST_P(EveryEviction, HitsNoMoreThanBeladyAndAllWhenAllFits) {
  const std::vector<BlockHash> keys = accesses(2, 20'000);
  const auto different = std::set<BlockHash>(keys.begin(), keys.end()).size();
  for (const std::size_t capacity : {1, 8, 64, 200}) {
    const auto policy = make_policy(GetParam(), static_cast<std::int64_t>(capacity));
    EXPECT_LE(hits_of(*policy, capacity, keys), belady_hits(capacity, keys));
  }
  const auto policy = make_policy(GetParam(), static_cast<std::int64_t>(different));
  EXPECT_EQ(hits_of(*policy, different, keys), static_cast<std::int64_t>(keys.size() - different));
}

INSTANTIATE_TEST_SUITE_P(Registered, EveryEviction,
                         testing::ValuesIn(Registry<Eviction>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Eviction, LruEqualsBruteForce) {
  const std::vector<BlockHash> keys = accesses(3, 20'000);
  std::list<BlockHash> order;
  std::vector<BlockHash> expected;
  for (const BlockHash key : keys) {
    const auto found = std::find(order.begin(), order.end(), key);
    if (found != order.end()) {
      order.erase(found);
    } else if (order.size() == 50) {
      expected.push_back(order.front());
      order.pop_front();
    }
    order.push_back(key);
  }
  std::vector<BlockHash> victims;
  (void)hits_of(*make_policy("lru", 50), 50, keys, &victims);
  EXPECT_EQ(victims, expected);
}

TEST(Eviction, FifoGivesAnEntryThatWasReadItsOldPlace) {
  const auto policy = make_policy("fifo", 3);
  for (const BlockHash key : {1, 2, 3}) {
    policy->inserted(key);
    policy->unpinned(key);
  }
  policy->pinned(1);
  EXPECT_EQ(policy->evict(), BlockHash{2});
  policy->unpinned(1);
  EXPECT_EQ(policy->evict(), BlockHash{1});
}

TEST(Eviction, LfuKeepsWhatIsLookedForOften) {
  const auto policy = make_policy("lfu", 3);
  for (const BlockHash key : {1, 2, 3}) {
    policy->inserted(key);
    policy->unpinned(key);
  }
  policy->touched(1);
  policy->touched(2);
  policy->touched(2);
  policy->touched(3);
  EXPECT_EQ(policy->evict(), BlockHash{1}) << "as often as 3, but longer ago";
  EXPECT_EQ(policy->evict(), BlockHash{3});
}

TEST(Eviction, ArcKeepsWhatWasSeenTwiceThroughAScan) {
  const auto policy = make_policy("arc", 4);
  const auto store = [&](BlockHash key) {
    policy->inserted(key);
    policy->unpinned(key);
  };
  store(1);
  store(2);
  policy->touched(1);
  policy->touched(2);
  store(3);
  store(4);
  for (BlockHash key = 5; key < 50; ++key) {
    EXPECT_EQ(policy->evict(), key - 2);
    store(key);
  }
}

TEST(Eviction, ArcGivesRecentEntriesMoreRoomAfterMissingThem) {
  const auto policy = make_policy("arc", 2);
  const auto store = [&](BlockHash key) {
    policy->inserted(key);
    policy->unpinned(key);
  };
  store(1);
  policy->touched(1);
  store(2);
  EXPECT_EQ(policy->evict(), BlockHash{2});
  policy->touched(2);  // a ghost: the list of entries seen once should have been larger
  store(2);
  policy->touched(9);
  EXPECT_EQ(policy->evict(), BlockHash{2}) << "one wanted, one there";
  policy->touched(2);
  store(2);
  EXPECT_EQ(policy->evict(), BlockHash{1}) << "two wanted, one there";
}

}  // namespace
}  // namespace kvsim
