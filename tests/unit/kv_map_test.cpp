// The recorder of the KV map: what it counts is what somebody finds who looks at everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/rng.hpp"
#include "sim/frontend/kv_map_recorder.hpp"

namespace kvsim {
namespace {

constexpr std::size_t kHbm = 0;
constexpr std::size_t kDram = 1;
constexpr std::size_t kStore = 2;

KvMapRecorder::Shape shape(std::int64_t tokens) {
  return {.tokens = tokens, .bytes = Bytes(tokens * 100)};
}

class Map : public ::testing::Test {
 protected:
  [[nodiscard]] KvMapCounts of(std::size_t tier) const { return map_.counts()[tier]; }
  void at(double seconds) { now_ = Seconds(seconds); }

  Seconds now_{0};
  KvMapRecorder map_{3, 2, [this] { return now_; }};
};

Command put(StoreKey key, BlockHash name, std::int64_t tokens, std::int64_t bytes) {
  Command out;
  out.verb = Verb::kPut;
  out.key = key;
  out.bytes = Bytes(bytes);
  out.answer = Answer::kStored;
  out.content = {name, tokens};
  return out;
}

TEST_F(Map, ANameIsOneThingInSeveralCopies) {
  BlockListener& a = map_.add_cache(kHbm, shape(16));
  BlockListener& b = map_.add_cache(kHbm, shape(16));
  a.cached(7);
  a.cached(7);  // twice in one pool: two blocks, one holder
  b.cached(7);
  b.cached(8);
  const KvMapCounts counts = of(kHbm);
  EXPECT_EQ(counts.holders, 2);
  EXPECT_EQ(counts.entries, 4);
  EXPECT_EQ(counts.bytes, Bytes(4 * 1600));
  EXPECT_EQ(counts.distinct, 2);
  EXPECT_EQ(counts.held, 3);
  EXPECT_EQ(counts.held_by[0], 1);
  EXPECT_EQ(counts.held_by[1], 1);
  a.evicted(7);
  EXPECT_EQ(of(kHbm).held_by[1], 1);
  a.evicted(7);
  EXPECT_EQ(of(kHbm).held_by[1], 0);
}

TEST_F(Map, AnEntryIsDeadUntilUsedThenHotForTheWindowThenWarm) {
  BlockListener& a = map_.add_cache(kHbm, shape(16));
  a.cached(7);
  EXPECT_EQ(of(kHbm).dead, 1);
  a.used(7);
  for (int period = 0; period < 2; ++period) {
    EXPECT_EQ(of(kHbm).hot, 1);
    EXPECT_EQ(of(kHbm).dead, 0);
    map_.period_ends();
  }
  EXPECT_EQ(of(kHbm).hot, 0);
  EXPECT_EQ(of(kHbm).warm, 1);
  a.used(7);
  EXPECT_EQ(of(kHbm).hot, 1);
  a.evicted(7);
  a.cached(7);
  EXPECT_EQ(of(kHbm).dead, 1);  // what is stored anew begins anew
}

TEST_F(Map, AChunkStandsForTheBlocksThatItIsMadeOf) {
  BlockListener& hbm = map_.add_cache(kHbm, shape(16));
  BlockListener& dram = map_.add_cache(kDram, shape(64));
  for (BlockHash block = 1; block <= 8; ++block) hbm.cached(block);
  dram.cached(4);  // the chunk of blocks 1 to 4
  EXPECT_EQ(of(kHbm).elsewhere, Tokens(64));
  EXPECT_EQ(of(kDram).elsewhere, Tokens(64));
  EXPECT_EQ(of(kHbm).also_in[kDram], Tokens(64));
  EXPECT_EQ(of(kHbm).also_in[kStore], Tokens(0));
  hbm.evicted(4);
  EXPECT_EQ(of(kHbm).elsewhere, Tokens(0));
}

TEST_F(Map, AValueOfAStoreCountsUnderTheNameOfItsContent) {
  BlockListener& dram = map_.add_cache(kDram, shape(64));
  StoreListener& store = map_.add_store(kStore);
  dram.cached(4);
  store.stored(put(100, 4, 64, 900));
  store.stored(put(101, 0, 0, 64));  // metadata
  EXPECT_EQ(of(kStore).entries, 1);
  EXPECT_EQ(of(kStore).bytes, Bytes(900));
  EXPECT_EQ(of(kDram).also_in[kStore], Tokens(64));
  store.stored(put(100, 4, 64, 800));  // in its place
  EXPECT_EQ(of(kStore).bytes, Bytes(800));
  store.read(100);
  EXPECT_EQ(of(kStore).hot, 1);
  store.gone(100);
  EXPECT_EQ(of(kStore).entries, 0);
  EXPECT_EQ(of(kStore).bytes, Bytes(0));
  EXPECT_EQ(of(kDram).elsewhere, Tokens(0));
}

TEST_F(Map, TheMostCopiedComeFirst) {
  BlockListener& a = map_.add_cache(kHbm, shape(16));
  BlockListener& b = map_.add_cache(kHbm, shape(16));
  BlockListener& dram = map_.add_cache(kDram, shape(64));
  at(1);
  a.cached(5);
  b.cached(5);
  at(2);
  dram.cached(5);
  a.cached(6);
  b.cached(6);
  a.cached(9);
  at(3);
  a.used(9);
  const std::vector<KvMapBlock> blocks = map_.most_copied(3);
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].name, 5u);
  EXPECT_EQ(blocks[0].copies, (std::vector<std::int64_t>{2, 1, 0}));
  EXPECT_EQ(blocks[0].tokens, 64);
  EXPECT_EQ(blocks[0].stored, Seconds(1));
  EXPECT_LT(blocks[0].used, Seconds(0));
  EXPECT_EQ(blocks[1].name, 6u);
  EXPECT_EQ(blocks[2].name, 9u);
  EXPECT_EQ(blocks[2].used, Seconds(3));
  EXPECT_EQ(map_.most_copied(1).size(), 1u);
}

// --- against brute force ---

struct BruteHolder {
  std::size_t tier;
  std::int64_t tokens;
  BlockListener* listener;
  std::multiset<BlockHash> held;
};

class Brute {
 public:
  explicit Brute(std::vector<BruteHolder>& holders) : holders_(holders) {}

  void used(std::size_t tier, BlockHash name, int period) { used_[{tier, name}] = period; }
  // After a removal: what no holder of the tier has any more begins anew.
  void forget() {
    std::erase_if(
        used_, [this](const auto& use) { return copies(use.first.first, use.first.second) == 0; });
  }
  [[nodiscard]] KvMapCounts count(std::size_t tier, int period, int window) const {
    KvMapCounts out;
    out.also_in.assign(3, Tokens(0));
    std::set<BlockHash> names;
    for (const BruteHolder& holder : holders_) {
      if (holder.tier != tier) continue;
      ++out.holders;
      out.entries += static_cast<std::int64_t>(holder.held.size());
      out.bytes += shape(holder.tokens).bytes * static_cast<std::int64_t>(holder.held.size());
      names.insert(holder.held.begin(), holder.held.end());
    }
    for (const BlockHash name : names) add(tier, name, period, window, out);
    return out;
  }

 private:
  [[nodiscard]] std::int64_t copies(std::size_t tier, BlockHash name) const {
    return std::count_if(holders_.begin(), holders_.end(), [&](const BruteHolder& holder) {
      return holder.tier == tier && holder.held.contains(name);
    });
  }
  static std::int64_t tokens(std::size_t tier) { return tier == kHbm ? 16 : 16 << tier; }
  void add(std::size_t tier, BlockHash name, int period, int window, KvMapCounts& out) const {
    const std::int64_t here = copies(tier, name);
    out.held += here;
    ++out.distinct;
    out.distinct_tokens += Tokens(tokens(tier));
    out.distinct_bytes += shape(tokens(tier)).bytes;
    ++out.held_by[here <= 2 ? static_cast<std::size_t>(here - 1) : (here <= 4 ? 2 : 3)];
    const auto use = used_.find({tier, name});
    ++(use == used_.end() ? out.dead : (use->second > period - window ? out.hot : out.warm));
    std::int64_t largest = 0;
    for (std::size_t other = 0; other < 3; ++other) {
      if (other == tier || copies(other, name) == 0) continue;
      const std::int64_t both = std::max(tokens(tier), tokens(other));
      out.also_in[other] += Tokens(both);
      largest = std::max(largest, both);
    }
    out.elsewhere += Tokens(largest);
  }

  std::vector<BruteHolder>& holders_;
  std::map<std::pair<std::size_t, BlockHash>, int> used_;
};

void expect_same(const KvMapCounts& map, const KvMapCounts& brute) {
  EXPECT_EQ(map.holders, brute.holders);
  EXPECT_EQ(map.entries, brute.entries);
  EXPECT_EQ(map.bytes, brute.bytes);
  EXPECT_EQ(map.held, brute.held);
  EXPECT_EQ(map.distinct, brute.distinct);
  EXPECT_EQ(map.distinct_bytes, brute.distinct_bytes);
  EXPECT_EQ(map.distinct_tokens, brute.distinct_tokens);
  EXPECT_EQ(map.held_by, brute.held_by);
  EXPECT_EQ(map.hot, brute.hot);
  EXPECT_EQ(map.warm, brute.warm);
  EXPECT_EQ(map.dead, brute.dead);
  EXPECT_EQ(map.elsewhere, brute.elsewhere);
  EXPECT_EQ(map.also_in, brute.also_in);
}

TEST(KvMapRecorder, CountsAreThoseOfBruteForceOverRandomEvents) {
  constexpr int kWindow = 3;
  KvMapRecorder map(3, kWindow, [] { return Seconds(0); });
  Rng rng(11);
  std::vector<BruteHolder> holders;
  for (int i = 0; i < 12; ++i) {
    const std::size_t tier = i < 7 ? kHbm : (i < 10 ? kDram : kStore);
    const std::int64_t tokens = tier == kHbm ? 16 : 16 << tier;
    holders.push_back({tier, tokens, &map.add_cache(tier, shape(tokens)), {}});
  }
  Brute brute(holders);
  int period = 0;
  for (int step = 0; step < 6000; ++step) {
    BruteHolder& holder = holders[rng.below(holders.size())];
    const BlockHash name = 1 + rng.below(40);
    const double what = rng.uniform();
    if (what < 0.45) {
      holder.listener->cached(name);
      holder.held.insert(name);
    } else if (what < 0.8) {
      holder.listener->evicted(name);
      if (const auto one = holder.held.find(name); one != holder.held.end()) holder.held.erase(one);
      brute.forget();
    } else if (what < 0.98) {
      if (!holder.held.contains(name)) continue;
      holder.listener->used(name);
      brute.used(holder.tier, name, period);
    } else if (what < 0.985) {
      holder.listener->cleared();
      holder.held.clear();
      brute.forget();
    } else {
      map.period_ends();
      ++period;
    }
    if (step % 20 != 0) continue;
    const std::vector<KvMapCounts> counts = map.counts();
    for (std::size_t tier = 0; tier < 3; ++tier)
      expect_same(counts[tier], brute.count(tier, period, kWindow));
    if (HasFailure()) FAIL() << "after step " << step;
  }
}

}  // namespace
}  // namespace kvsim
