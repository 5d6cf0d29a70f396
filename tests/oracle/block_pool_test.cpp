// BlockPool against a slow, obvious model: lists and maps, one block at a time.
#include "sim/kv/block_pool.hpp"

#include <gtest/gtest.h>

#include <list>
#include <map>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

class SlowPool {
 public:
  explicit SlowPool(const BlockPool::Options& options) : options_(options) {
    for (BlockId id = 1; id < options.blocks; ++id) queue.push_back(id);
  }

  std::int64_t match(std::span<const BlockHash> hashes) const {
    std::int64_t count = 0;
    for (const BlockHash hash : hashes) {
      if (!cached.contains(hash)) break;
      ++count;
    }
    return count;
  }
  std::int64_t unreferenced(std::span<const BlockHash> hashes) const {
    std::int64_t count = 0;
    for (const BlockHash hash : hashes)
      count += references.contains(cached.at(hash).front()) ? 0 : 1;
    return count;
  }
  void share(std::span<const BlockHash> hashes, std::vector<BlockId>& out) {
    for (const BlockHash hash : hashes) {
      const BlockId id = cached.at(hash).front();
      if (++references[id] == 1) queue.remove(id);
      out.push_back(id);
    }
  }
  void allocate(std::int64_t count, std::vector<BlockId>& out) {
    for (; count > 0; --count) {
      const BlockId id = queue.front();
      queue.pop_front();
      if (content.contains(id)) {
        std::list<BlockId>& same = cached[content[id]];
        same.remove(id);
        if (same.empty()) cached.erase(content[id]);
        heard.push_back("-" + std::to_string(content[id]));
        content.erase(id);
      }
      references[id] = 1;
      out.push_back(id);
    }
  }
  void cache(std::span<const BlockId> blocks, std::span<const BlockHash> hashes) {
    if (!options_.caching) return;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      content[blocks[i]] = hashes[i];
      cached[hashes[i]].push_back(blocks[i]);
      heard.push_back("+" + std::to_string(hashes[i]));
    }
  }
  void release(std::span<const BlockId> blocks) {
    auto front = queue.begin();
    for (auto id = blocks.rbegin(); id != blocks.rend(); ++id) {
      if (--references[*id] > 0) continue;
      references.erase(*id);
      if (options_.unhashed_to_front && !content.contains(*id)) {
        queue.insert(front, *id);
      } else {
        queue.push_back(*id);
        if (front == queue.end()) front = std::prev(queue.end());
      }
    }
  }

  std::list<BlockId> queue;
  std::map<BlockId, int> references;
  std::map<BlockId, BlockHash> content;
  std::map<BlockHash, std::list<BlockId>> cached;
  std::vector<std::string> heard;

 private:
  BlockPool::Options options_;
};

class Recording : public BlockListener {
 public:
  void cached(BlockHash hash) override { heard.push_back("+" + std::to_string(hash)); }
  void evicted(BlockHash hash) override { heard.push_back("-" + std::to_string(hash)); }
  std::vector<std::string> heard;
};

// Requests over a few chains of content, so that hits, duplicates and evictions are frequent.
struct Life {
  std::vector<BlockId> blocks;
  std::vector<BlockHash> hashes;  // of its full blocks
  std::size_t cached = 0;         // leading blocks that are cached
};

class BothPools {
 public:
  BothPools(const BlockPool::Options& options, std::uint64_t seed)
      : pool_(options), slow_(options), rng_(seed), blocks_(options.blocks) {
    pool_.add_listener(&recording_);
  }

  void step() {
    switch (rng_.below(4)) {
      case 0:
        return start();
      case 1:
        return fill();
      case 2:
        return grow();
      default:
        return finish();
    }
  }

  void compare() {
    ASSERT_EQ(pool_.free(), static_cast<std::int32_t>(slow_.queue.size()));
    std::int64_t repeated = 0;
    for (const auto& [id, count] : slow_.references)
      repeated += std::max<std::int64_t>(0, count - 1);
    ASSERT_EQ(pool_.repeated(), repeated);
    ASSERT_DOUBLE_EQ(pool_.usage(), 1.0 - slow_.queue.size() / (blocks_ - 1.0));
    ASSERT_EQ(recording_.heard, slow_.heard);
    for (std::uint64_t chain = 0; chain < kChains; ++chain) {
      const std::vector<BlockHash> hashes = content(chain);
      const std::int64_t matched = slow_.match(hashes);
      ASSERT_EQ(pool_.match(hashes), matched);
      const auto leading = std::span<const BlockHash>(hashes).first(matched);
      ASSERT_EQ(pool_.unreferenced(leading), slow_.unreferenced(leading));
    }
    std::int64_t evicted = 0;
    for (const std::string& line : slow_.heard) evicted += line[0] == '-' ? 1 : 0;
    evicted_ += evicted;
    ASSERT_EQ(pool_.evicted_blocks(), evicted_);
    recording_.heard.clear();
    slow_.heard.clear();
  }

  // Takes every free block from both: equal ids mean equal queues.
  void drain() {
    std::vector<BlockId> fast;
    std::vector<BlockId> slow;
    const std::int64_t count = pool_.free();
    pool_.allocate(count, fast);
    slow_.allocate(count, slow);
    ASSERT_EQ(fast, slow);
  }

 private:
  static constexpr std::uint64_t kChains = 5;

  std::vector<BlockHash> content(std::uint64_t chain) const {
    std::vector<BlockHash> hashes;
    for (std::int32_t i = 0; i < std::max(3, blocks_ / 4); ++i) {
      hashes.push_back(1 + 1000 * (i < 2 ? 0 : chain) + static_cast<BlockHash>(i));
    }
    return hashes;
  }

  void start() {
    Life life;
    life.hashes = content(rng_.below(kChains));
    life.hashes.resize(1 + rng_.below(life.hashes.size()));
    // The last block is computed again even when it is cached, as in an engine.
    std::span<const BlockHash> leading(life.hashes);
    leading = leading.first(pool_.match(leading.first(leading.size() - 1)));
    const auto wanted = static_cast<std::int64_t>(life.hashes.size() - leading.size() + 1);
    if (wanted > pool_.free() - pool_.unreferenced(leading)) return;
    std::vector<BlockId> slow;
    pool_.share(leading, life.blocks);
    slow_.share(leading, slow);
    pool_.allocate(wanted, life.blocks);
    slow_.allocate(wanted, slow);
    ASSERT_EQ(life.blocks, slow);
    life.cached = leading.size();
    lives_.push_back(std::move(life));
  }

  void fill() {
    if (lives_.empty()) return;
    Life& life = lives_[rng_.below(lives_.size())];
    const std::size_t count = rng_.below(life.hashes.size() - life.cached + 1);
    const auto blocks = std::span<const BlockId>(life.blocks).subspan(life.cached, count);
    const auto hashes = std::span<const BlockHash>(life.hashes).subspan(life.cached, count);
    pool_.cache(blocks, hashes);
    slow_.cache(blocks, hashes);
    life.cached += count;
  }

  void grow() {
    if (lives_.empty() || pool_.free() == 0) return;
    Life& life = lives_[rng_.below(lives_.size())];
    std::vector<BlockId> slow = life.blocks;
    pool_.allocate(1, life.blocks);
    slow_.allocate(1, slow);
    ASSERT_EQ(life.blocks, slow);
  }

  void finish() {
    if (lives_.empty()) return;
    const std::size_t which = rng_.below(lives_.size());
    pool_.release(lives_[which].blocks);
    slow_.release(lives_[which].blocks);
    lives_.erase(lives_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  BlockPool pool_;
  SlowPool slow_;
  Recording recording_;
  Rng rng_;
  std::int32_t blocks_;
  std::int64_t evicted_ = 0;
  std::vector<Life> lives_;
};

void expect_equal_lives(const BlockPool::Options& options, int operations) {
  BothPools both(options, 1);
  for (int i = 0; i < operations; ++i) {
    both.step();
    both.compare();
    if (testing::Test::HasFatalFailure()) FAIL() << "operation " << i;
  }
  both.drain();
}

TEST(BlockPoolOracle, EveryOperationEqualsTheSlowModel) {
  expect_equal_lives({.blocks = 40}, 100'000);
}

TEST(BlockPoolOracle, FreeingUnhashedBlocksToTheTailEqualsTheSlowModel) {
  expect_equal_lives({.blocks = 40, .unhashed_to_front = false}, 30'000);
}

TEST(BlockPoolOracle, LongRequestsEqualTheSlowModel) {
  expect_equal_lives({.blocks = 600}, 10'000);
}

TEST(BlockPoolOracle, WithoutCachingNothingIsHit) {
  expect_equal_lives({.blocks = 40, .caching = false}, 20'000);
}

TEST(BlockPoolOracle, TheSmallestPoolWorks) { expect_equal_lives({.blocks = 4}, 20'000); }

TEST(BlockPoolReferences, HeldOnesKeepABlockButAreNotRepeated) {
  BlockPool pool({.blocks = 4});
  std::vector<BlockId> first;
  std::vector<BlockId> second;
  const std::vector<BlockHash> hashes = {7};
  pool.allocate(1, first);
  pool.cache(first, hashes);
  pool.share(hashes, second);
  EXPECT_EQ(pool.repeated(), 1);
  pool.hold(first);
  EXPECT_EQ(pool.repeated(), 0);
  std::vector<BlockId> third;
  pool.share(hashes, third);
  EXPECT_EQ(pool.repeated(), 1);
  pool.release(second);
  pool.release(third);
  EXPECT_EQ(pool.repeated(), 0);
  EXPECT_EQ(pool.free(), 2);
  pool.release_held(first);
  EXPECT_EQ(pool.free(), 3);
}

}  // namespace
}  // namespace kvsim
