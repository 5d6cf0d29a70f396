// HostCache under LRU against a slow, obvious model: a list in order of use and a map of states.
#include "sim/kv/host_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

struct SlowCache {
  struct Chunk {
    bool ready = false;
    int loads = 0;
  };

  bool idle(BlockHash chunk) const {
    const auto found = chunks.find(chunk);
    return found != chunks.end() && found->second.ready && found->second.loads == 0;
  }
  void use(BlockHash chunk) {
    if (!idle(chunk)) return;
    order.remove(chunk);
    order.push_back(chunk);
  }
  bool begin_store(const std::vector<BlockHash>& wanted, std::vector<BlockHash>& begun) {
    for (const BlockHash chunk : wanted) {
      if (!chunks.contains(chunk)) begun.push_back(chunk);
    }
    std::list<BlockHash> candidates = order;
    const bool evicts = chunks.size() + begun.size() > capacity;
    for (const BlockHash chunk : wanted) candidates.remove(chunk);
    if (chunks.size() + begun.size() > capacity + candidates.size()) {
      dropped += static_cast<std::int64_t>(begun.size());
      begun.clear();
    }
    while (chunks.size() + begun.size() > capacity) {
      order.remove(candidates.front());
      chunks.erase(candidates.front());
      candidates.pop_front();
    }
    if (evicts) {
      for (const BlockHash chunk : wanted) use(chunk);
    }
    for (const BlockHash chunk : begun) chunks[chunk] = {};
    return !begun.empty();
  }

  std::size_t capacity;
  std::map<BlockHash, Chunk> chunks;
  std::list<BlockHash> order;  // chunks that may be evicted, next victim first
  std::int64_t dropped = 0;
};

std::vector<BlockHash> random_chain(Rng& rng) {
  std::vector<BlockHash> chain;
  const BlockHash start = 1 + 4 * rng.below(20);
  const BlockHash length = 1 + rng.below(6);
  for (BlockHash i = 0; i < length; ++i) chain.push_back(start + i);
  return chain;
}

TEST(HostCacheOracle, EveryOperationEqualsTheSlowModel) {
  constexpr std::int64_t kCapacity = 25;
  const Json lru = "lru";
  HostCache cache({.capacity = kCapacity},
                  Registry<Eviction>::instance().make(ConfigNode(lru, "test"), {kCapacity}));
  SlowCache slow{.capacity = kCapacity};
  std::vector<BlockHash> storing;
  std::vector<BlockHash> loading;
  Rng rng(5);
  const auto take = [&](std::vector<BlockHash>& from) {
    const std::size_t which = rng.below(from.size());
    const BlockHash chunk = from[which];
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
    return chunk;
  };
  for (int i = 0; i < 100'000; ++i) {
    const std::vector<BlockHash> chain = random_chain(rng);
    const std::uint64_t what = rng.below(10);
    if (what < 3) {
      const ChunkPrefix prefix = cache.lookup(chain);
      for (auto chunk = chain.rbegin(); chunk != chain.rend(); ++chunk) slow.use(*chunk);
      std::int64_t leading = 0;
      bool pending = false;
      while (leading < std::ssize(chain) && slow.chunks.contains(chain[leading])) {
        pending |= !slow.chunks[chain[leading++]].ready;
      }
      ASSERT_EQ(prefix.chunks, leading);
      ASSERT_EQ(prefix.pending, pending);
      if (pending || leading == 0) continue;
      for (std::int64_t chunk = 0; chunk < leading; ++chunk) {
        cache.begin_load(chain[chunk]);
        loading.push_back(chain[chunk]);
        if (++slow.chunks[chain[chunk]].loads == 1) slow.order.remove(chain[chunk]);
      }
    } else if (what < 5) {
      std::vector<BlockHash> begun;
      std::vector<BlockHash> expected;
      (void)cache.begin_store(chain, begun);
      (void)slow.begin_store(chain, expected);
      ASSERT_EQ(begun, expected) << "operation " << i;
      storing.insert(storing.end(), begun.begin(), begun.end());
    } else if (what < 7 && !storing.empty()) {
      const BlockHash chunk = take(storing);
      const bool stored = rng.below(8) != 0;
      cache.end_store(chunk, stored);
      if (stored) {
        slow.chunks[chunk].ready = true;
        slow.use(chunk);
      } else {
        slow.chunks.erase(chunk);
      }
    } else if (!loading.empty()) {
      const BlockHash chunk = take(loading);
      cache.end_load(chunk);
      --slow.chunks[chunk].loads;
      slow.use(chunk);
    }
    ASSERT_EQ(cache.size(), std::ssize(slow.chunks)) << "operation " << i;
    ASSERT_EQ(cache.dropped(), slow.dropped);
    for (const auto& [chunk, state] : slow.chunks) ASSERT_TRUE(cache.contains(chunk));
  }
}

}  // namespace
}  // namespace kvsim
