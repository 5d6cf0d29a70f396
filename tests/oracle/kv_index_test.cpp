// KvIndex against one map per replica, tier and hash, over random events.
#include "sim/kv/kv_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

class SlowIndex {
 public:
  explicit SlowIndex(const KvIndex::Options& options) : options_(options) {}

  void add(std::int32_t replica, std::size_t tier, BlockHash hash) {
    ++copies_[{replica, tier, hash}];
    if (options_.most_replicas == 0 || replica < 0) return;
    std::vector<std::int32_t>& order = orders_[{tier, hash}];
    std::erase(order, replica);
    order.push_back(replica);
    if (static_cast<std::int32_t>(order.size()) <= options_.most_replicas) return;
    copies_.erase({order.front(), tier, hash});
    order.erase(order.begin());
  }
  void remove(std::int32_t replica, std::size_t tier, BlockHash hash) {
    const auto at = copies_.find({replica, tier, hash});
    if (at == copies_.end() || --at->second > 0) return;
    copies_.erase(at);
    std::erase(orders_[{tier, hash}], replica);
  }
  void clear(std::int32_t replica) {
    std::erase_if(copies_, [&](const auto& entry) { return entry.first.replica == replica; });
    for (auto& [key, order] : orders_) std::erase(order, replica);
  }

  bool held(std::int32_t replica, std::size_t tier, const std::vector<BlockHash>& hashes,
            std::size_t block) const {
    const auto group = static_cast<std::size_t>(options_.group_blocks[tier]);
    const std::size_t last = block / group * group + group - 1;
    return last < hashes.size() && copies_.count({replica, tier, hashes[last]}) > 0;
  }
  std::int32_t through(std::int32_t replica, std::size_t deepest,
                       const std::vector<BlockHash>& hashes) const {
    for (std::size_t block = 0; block < hashes.size(); ++block) {
      bool here = false;
      for (std::size_t tier = 0; tier <= deepest; ++tier)
        here = here || held(replica, tier, hashes, block);
      if (!here) return static_cast<std::int32_t>(block);
    }
    return static_cast<std::int32_t>(hashes.size());
  }
  std::int64_t size(std::int32_t replica) const {
    return std::count_if(copies_.begin(), copies_.end(), [&](const auto& entry) {
      return entry.first.replica == replica && entry.first.tier == 0;
    });
  }

 private:
  struct Key {
    std::int32_t replica;
    std::size_t tier;
    BlockHash hash;
    auto operator<=>(const Key&) const = default;
  };
  KvIndex::Options options_;
  std::map<Key, std::int32_t> copies_;
  std::map<std::pair<std::size_t, BlockHash>, std::vector<std::int32_t>> orders_;
};

std::vector<BlockHash> random_prompt(Rng& rng) {
  std::vector<BlockHash> hashes;
  const std::uint64_t chain = rng.below(4);
  const std::uint64_t length = rng.below(20);
  for (std::uint64_t i = 0; i < length; ++i)
    hashes.push_back(1 + i + 1000 * (i < 3 ? 0 : chain + 1));
  return hashes;
}

void expect_equal_answers(const KvIndex::Options& options, int operations, int checked_every) {
  KvIndex index(options);
  SlowIndex slow(options);
  Rng rng(7);
  std::vector<KvMatch> matches;
  for (int i = 0; i < operations; ++i) {
    const auto replica =
        static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(options.replicas) + 1)) - 1;
    const auto tier = static_cast<std::size_t>(rng.below(kIndexTiers));
    const std::vector<BlockHash> prompt = random_prompt(rng);
    const std::uint64_t what = rng.below(500);
    if (what == 0) {
      index.clear(replica);
      slow.clear(replica);
    } else if (what < 200) {
      for (const BlockHash hash : prompt) {
        index.remove(replica, tier, hash);
        slow.remove(replica, tier, hash);
      }
    } else {
      for (const BlockHash hash : prompt) {
        index.add(replica, tier, hash);
        slow.add(replica, tier, hash);
      }
    }
    if (i % checked_every != 0) continue;
    index.match(prompt, matches);
    for (std::int32_t r = 0; r < options.replicas; ++r) {
      for (std::size_t t = 0; t < kIndexTiers; ++t)
        ASSERT_EQ(matches[static_cast<std::size_t>(r)].through[t], slow.through(r, t, prompt))
            << "operation " << i << ", replica " << r << ", tier " << t;
      ASSERT_EQ(index.size(r), slow.size(r)) << "operation " << i << ", replica " << r;
    }
    ASSERT_EQ(index.match_shared(prompt), slow.through(-1, kIndexTiers - 1, prompt));
  }
}

TEST(KvIndexOracle, AFewReplicasEqualPlainMaps) {
  expect_equal_answers({.replicas = 3}, 10'000, 5);
}

TEST(KvIndexOracle, SixtyFourReplicasEqualPlainMaps) {
  expect_equal_answers({.replicas = 64}, 20'000, 1000);
}

TEST(KvIndexOracle, SeveralWordsOfReplicasEqualPlainMaps) {
  expect_equal_answers({.replicas = 130}, 20'000, 4000);
}

TEST(KvIndexOracle, GroupsOfBlocksEqualPlainMaps) {
  expect_equal_answers({.replicas = 5, .group_blocks = {1, 4, 3}}, 10'000, 5);
}

TEST(KvIndexOracle, LimitedHoldersEqualPlainMaps) {
  expect_equal_answers({.replicas = 6, .most_replicas = 3}, 10'000, 5);
}

TEST(KvIndexOracle, LimitedHoldersInSeveralWordsEqualPlainMaps) {
  expect_equal_answers({.replicas = 100, .most_replicas = 10}, 20'000, 800);
}

}  // namespace
}  // namespace kvsim
