// PrefixIndex against one plain list per replica.
#include "sim/kv/prefix_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

class SlowIndex {
 public:
  explicit SlowIndex(const PrefixIndex::Options& options)
      : capacity_(options.capacity), replicas_(static_cast<std::size_t>(options.replicas)) {}

  std::vector<std::int32_t> match(const std::vector<BlockHash>& hashes) const {
    std::vector<std::int32_t> blocks;
    for (const std::list<BlockHash>& held : replicas_) {
      std::int32_t length = 0;
      for (const BlockHash hash : hashes) {
        if (std::find(held.begin(), held.end(), hash) == held.end()) break;
        ++length;
      }
      blocks.push_back(length);
    }
    return blocks;
  }
  void insert(std::int32_t replica, const std::vector<BlockHash>& hashes) {
    std::list<BlockHash>& held = replicas_[static_cast<std::size_t>(replica)];
    for (const BlockHash hash : hashes) {
      held.remove(hash);
      held.push_back(hash);
      if (held.size() > static_cast<std::size_t>(capacity_)) held.pop_front();
    }
  }
  void remove_replica(std::int32_t replica) {
    replicas_[static_cast<std::size_t>(replica)].clear();
  }
  std::size_t size(std::int32_t replica) const {
    return replicas_[static_cast<std::size_t>(replica)].size();
  }

 private:
  std::int32_t capacity_;
  std::vector<std::list<BlockHash>> replicas_;
};

std::vector<BlockHash> random_request(Rng& rng, std::uint64_t chains) {
  std::vector<BlockHash> hashes;
  const std::uint64_t chain = rng.below(chains);
  const std::uint64_t length = 1 + rng.below(20);
  for (std::uint64_t i = 0; i < length; ++i) {
    hashes.push_back(1 + i + 1000 * (i < 3 ? 0 : i < 8 ? chain % 3 + 1 : chain + 10));
  }
  return hashes;
}

void expect_equal_answers(const PrefixIndex::Options& options, int operations) {
  PrefixIndex index(options);
  SlowIndex slow(options);
  Rng rng(7);
  std::vector<std::int32_t> blocks;
  for (int i = 0; i < operations; ++i) {
    const auto replica =
        static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(options.replicas)));
    const std::vector<BlockHash> request = random_request(rng, 12);
    index.match(request, blocks);
    ASSERT_EQ(blocks, slow.match(request)) << "operation " << i;
    if (rng.below(200) == 0) {
      index.remove_replica(replica);
      slow.remove_replica(replica);
    } else {
      index.insert(replica, request);
      slow.insert(replica, request);
    }
    ASSERT_EQ(index.size(replica), static_cast<std::int32_t>(slow.size(replica)));
  }
  for (std::int32_t replica = 0; replica < options.replicas; ++replica) {
    index.remove_replica(replica);
  }
  EXPECT_EQ(index.hashes(), 0U);
}

TEST(PrefixIndexOracle, OneReplicaEqualsAPlainList) {
  expect_equal_answers({.replicas = 1, .capacity = 40}, 20'000);
}

TEST(PrefixIndexOracle, EightReplicasEqualPlainLists) {
  expect_equal_answers({.replicas = 8, .capacity = 60}, 50'000);
}

TEST(PrefixIndexOracle, ACapacityBelowOneRequestEqualsPlainLists) {
  expect_equal_answers({.replicas = 3, .capacity = 7}, 20'000);
}

TEST(PrefixIndexOracle, SetsOfManyReplicasEqualPlainLists) {
  expect_equal_answers({.replicas = 150, .capacity = 30}, 20'000);
}

}  // namespace
}  // namespace kvsim
