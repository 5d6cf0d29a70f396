// 64 replicas are a word: for each tier and word one map from hash to the word's holders, so that
// matching is one lookup a block for all of them and needs no memory but the map's slots, 16 bytes
// each. What only few entries have (a second copy, an order of insertion) lies beside.
#include "sim/kv/kv_index.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"
#include "sim/kv/hash_map.hpp"
#include "sim/kv/kv_events.hpp"

namespace kvsim {
namespace {

// How far ahead of the work the maps are prefetched.
constexpr std::size_t kAhead = 16;

std::uint64_t bit(std::int32_t replica) { return 1ULL << (replica % 64); }

}  // namespace

struct KvIndex::State {
  using Word = HashMap<std::uint64_t>;
  struct Copies {
    std::int32_t replica = 0;
    std::int32_t more = 0;  // than one
  };
  struct Source {
    std::int32_t replica;
    KvEventLog* log;
  };

  explicit State(const Options& options)
      : options(options),
        words((static_cast<std::size_t>(options.replicas) + 63) / 64),
        held(kIndexTiers * words),
        sizes(static_cast<std::size_t>(options.replicas)) {}

  Word& word_of(std::size_t tier, std::int32_t replica) {
    return held[tier * words + static_cast<std::size_t>(replica) / 64];
  }
  static BlockHash copies_key(std::int32_t replica, std::size_t tier, BlockHash hash) {
    const std::uint64_t entry = static_cast<std::uint64_t>(replica) * kIndexTiers + tier + 1;
    return mix64(hash + entry * 0x9e3779b97f4a7c15ULL) | 1;
  }

  void add(std::int32_t replica, std::size_t tier, BlockHash hash);
  void remove(std::int32_t replica, std::size_t tier, BlockHash hash);
  void forget(std::int32_t replica, std::size_t tier, BlockHash hash);
  void make_youngest(std::int32_t replica, std::size_t tier, BlockHash hash);
  void make_room(std::size_t tier, BlockHash hash);
  std::int32_t holders(std::size_t tier, BlockHash hash, std::int32_t& any) const;
  void clear(std::int32_t replica);
  void apply(std::int32_t replica, std::span<const KvEvent> events);
  void match(std::size_t word, std::span<const BlockHash> hashes, std::span<KvMatch> matches) const;

  Options options;
  std::size_t words;
  std::vector<Word> held;                                 // by tier, then word
  HashMap<Copies> copies;                                 // of what a replica holds more than once
  std::array<HashMap<std::int32_t>, kIndexTiers> shared;  // copies of each hash, held by stores
  // With a limit: holders of a hash, oldest first, where there are two or more.
  std::array<HashMap<std::vector<std::int32_t>>, kIndexTiers> orders;
  std::vector<std::int64_t> sizes;
  std::vector<Source> sources;
};

KvIndex::KvIndex(const Options& options) {
  KV_CHECK(options.replicas > 0 && options.most_replicas >= 0, "{} replicas, {} a hash",
           options.replicas, options.most_replicas);
  for (const std::int32_t blocks : options.group_blocks) KV_CHECK(blocks > 0, "{} blocks", blocks);
  state_ = std::make_unique<State>(options);
}

KvIndex::~KvIndex() = default;

// --- events ---

void KvIndex::listen(std::int32_t replica, KvEventLog* log) {
  std::vector<State::Source>& sources = state_->sources;
  std::erase_if(sources, [&](const State::Source& source) { return source.replica == replica; });
  if (log != nullptr) sources.push_back({replica, log});
}

void KvIndex::advance(Seconds now) {
  for (const State::Source& source : state_->sources) {
    source.log->catch_up();
    if (source.log->front(now) == nullptr) continue;
    const std::span<const KvEvent> events = source.log->visible(now);
    state_->apply(source.replica, events);
    source.log->consume(events.size());
  }
}

void KvIndex::State::apply(std::int32_t replica, std::span<const KvEvent> events) {
  const auto prefetch = [&](const KvEvent& event) {
    if (replica >= 0) word_of(event.tier, replica).prefetch(event.hash);
  };
  for (const KvEvent& event : events.first(std::min(kAhead, events.size()))) prefetch(event);
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (i + kAhead < events.size()) prefetch(events[i + kAhead]);
    const KvEvent& event = events[i];
    if (event.kind == KvEvent::Kind::kStored) add(replica, event.tier, event.hash);
    if (event.kind == KvEvent::Kind::kRemoved) remove(replica, event.tier, event.hash);
    if (event.kind == KvEvent::Kind::kCleared) clear(replica);
  }
}

void KvIndex::add(std::int32_t replica, std::size_t tier, BlockHash hash) {
  state_->add(replica, tier, hash);
}

void KvIndex::remove(std::int32_t replica, std::size_t tier, BlockHash hash) {
  state_->remove(replica, tier, hash);
}

void KvIndex::clear(std::int32_t replica) { state_->clear(replica); }

std::int64_t KvIndex::size(std::int32_t replica) const {
  return state_->sizes.at(static_cast<std::size_t>(replica));
}

void KvIndex::State::add(std::int32_t replica, std::size_t tier, BlockHash hash) {
  KV_CHECK(replica < options.replicas && tier < kIndexTiers, "replica {}, tier {}", replica, tier);
  if (replica < 0) {
    ++shared[tier][hash];
    return;
  }
  const bool limited = options.most_replicas > 0;
  std::uint64_t& word = word_of(tier, replica)[hash];
  if ((word & bit(replica)) != 0) {
    Copies& more = copies[copies_key(replica, tier, hash)];
    more.replica = replica;
    ++more.more;
    if (limited) make_youngest(replica, tier, hash);
    return;
  }
  if (tier == 0) ++sizes[static_cast<std::size_t>(replica)];
  if (!limited) {
    word |= bit(replica);
    return;
  }
  make_room(tier, hash);
  make_youngest(replica, tier, hash);
  word_of(tier, replica)[hash] |= bit(replica);
}

void KvIndex::State::remove(std::int32_t replica, std::size_t tier, BlockHash hash) {
  if (replica < 0) {
    std::int32_t* count = shared[tier].find(hash);
    if (count != nullptr && --*count == 0) shared[tier].erase(hash);
    return;
  }
  const std::uint64_t* word = word_of(tier, replica).find(hash);
  if (word == nullptr || (*word & bit(replica)) == 0) return;
  if (copies.size() > 0) {
    const BlockHash key = copies_key(replica, tier, hash);
    if (Copies* more = copies.find(key); more != nullptr) {
      if (--more->more == 0) copies.erase(key);
      return;
    }
  }
  forget(replica, tier, hash);
}

// The replica, which holds it, holds it no more, however often it was added.
void KvIndex::State::forget(std::int32_t replica, std::size_t tier, BlockHash hash) {
  Word& map = word_of(tier, replica);
  std::uint64_t& word = *map.find(hash);
  word &= ~bit(replica);
  if (word == 0) map.erase(hash);
  if (tier == 0) --sizes[static_cast<std::size_t>(replica)];
  if (copies.size() > 0) copies.erase(copies_key(replica, tier, hash));
  std::vector<std::int32_t>* order = orders[tier].find(hash);
  if (order == nullptr) return;
  std::erase(*order, replica);
  if (order->size() < 2) orders[tier].erase(hash);
}

void KvIndex::State::clear(std::int32_t replica) {
  if (replica < 0) {
    for (HashMap<std::int32_t>& map : shared) map = {};
    return;
  }
  std::vector<BlockHash> gone;
  copies.for_each([&](BlockHash key, const Copies& more) {
    if (more.replica == replica) gone.push_back(key);
  });
  for (const BlockHash key : gone) copies.erase(key);
  for (std::size_t tier = 0; tier < kIndexTiers; ++tier) {
    gone.clear();
    word_of(tier, replica).for_each([&](BlockHash hash, std::uint64_t word) {
      if ((word & bit(replica)) != 0) gone.push_back(hash);
    });
    for (const BlockHash hash : gone) forget(replica, tier, hash);
  }
}

// --- the limit of replicas for a hash ---

// How many hold it; `any` is one of them.
std::int32_t KvIndex::State::holders(std::size_t tier, BlockHash hash, std::int32_t& any) const {
  std::int32_t count = 0;
  for (std::size_t word = 0; word < words; ++word) {
    const std::uint64_t* found = held[tier * words + word].find(hash);
    if (found == nullptr || *found == 0) continue;
    count += std::popcount(*found);
    any = static_cast<std::int32_t>(64 * word) + std::countr_zero(*found);
  }
  return count;
}

// For one more holder.
void KvIndex::State::make_room(std::size_t tier, BlockHash hash) {
  std::int32_t any = 0;
  if (holders(tier, hash, any) < options.most_replicas) return;
  const std::vector<std::int32_t>* order = orders[tier].find(hash);
  forget(order != nullptr ? order->front() : any, tier, hash);
}

// The replica, which may not hold it yet, was the last to say that it does.
void KvIndex::State::make_youngest(std::int32_t replica, std::size_t tier, BlockHash hash) {
  if (std::vector<std::int32_t>* order = orders[tier].find(hash); order != nullptr) {
    std::erase(*order, replica);
    order->push_back(replica);
    return;
  }
  std::int32_t other = replica;
  (void)holders(tier, hash, other);
  if (other != replica) orders[tier][hash] = {other, replica};
}

// --- lookup ---

namespace {

// Walks the blocks of a prompt in one map, group by group.
template <class Value>
class Cursor {
 public:
  Cursor(const HashMap<Value>& map, std::span<const BlockHash> hashes, std::int32_t group)
      : map_(map), hashes_(hashes), group_(static_cast<std::size_t>(group)) {}

  void prefetch_first() const {
    for (std::size_t end = group_; end <= std::min(kAhead * group_, hashes_.size()); end += group_)
      map_.prefetch(hashes_[end - 1]);
  }
  // What the map has for the block, or for its group; Value{} when absent. Blocks ascend.
  Value at(std::size_t block) {
    if (block < until_) return value_;
    const std::size_t end = (block / group_ + 1) * group_;
    const std::size_t ahead = end + kAhead * group_;
    if (ahead <= hashes_.size()) map_.prefetch(hashes_[ahead - 1]);
    const Value* found = end <= hashes_.size() ? map_.find(hashes_[end - 1]) : nullptr;
    until_ = end;
    return value_ = found != nullptr ? *found : Value{};
  }

 private:
  const HashMap<Value>& map_;
  std::span<const BlockHash> hashes_;
  std::size_t group_;
  std::size_t until_ = 0;
  Value value_{};
};

// through[tier] = blocks for the replicas of one word.
void set_lengths(std::span<KvMatch> matches, std::uint64_t replicas, std::size_t tier,
                 std::size_t blocks) {
  for (; replicas != 0; replicas &= replicas - 1)
    matches[static_cast<std::size_t>(std::countr_zero(replicas))].through[tier] =
        static_cast<std::int32_t>(blocks);
}

}  // namespace

void KvIndex::match(std::span<const BlockHash> hashes, std::vector<KvMatch>& matches) {
  const auto replicas = static_cast<std::size_t>(state_->options.replicas);
  matches.assign(replicas, KvMatch{});
  for (std::size_t word = 0; word < state_->words; ++word)
    state_->match(word, hashes,
                  std::span(matches).subspan(64 * word, std::min(replicas - 64 * word, 64UL)));
}

void KvIndex::State::match(std::size_t word, std::span<const BlockHash> hashes,
                           std::span<KvMatch> matches) const {
  static_assert(kIndexTiers == 3);
  const auto cursor = [&](std::size_t tier) {
    return Cursor<std::uint64_t>(held[tier * words + word], hashes, options.group_blocks[tier]);
  };
  std::array<Cursor<std::uint64_t>, kIndexTiers> cursors = {cursor(0), cursor(1), cursor(2)};
  cursors[0].prefetch_first();
  const std::uint64_t all = matches.size() == 64 ? ~0ULL : (1ULL << matches.size()) - 1;
  // Who holds every block so far in that tier or above.
  std::array<std::uint64_t, kIndexTiers> active = {all, all, all};
  std::size_t block = 0;
  for (; block < hashes.size() && active[kIndexTiers - 1] != 0; ++block) {
    std::uint64_t holding = 0;
    for (std::size_t tier = 0; tier < kIndexTiers; ++tier) {
      // A deeper tier is asked only for those who need it.
      if ((active[kIndexTiers - 1] & ~holding) != 0) holding |= cursors[tier].at(block);
      const std::uint64_t ended = active[tier] & ~holding;
      if (ended == 0) continue;
      set_lengths(matches, ended, tier, block);
      active[tier] &= holding;
    }
  }
  for (std::size_t tier = 0; tier < kIndexTiers; ++tier)
    set_lengths(matches, active[tier], tier, block);
}

std::int32_t KvIndex::match_shared(std::span<const BlockHash> hashes) {
  const auto cursor = [&](std::size_t tier) {
    return Cursor<std::int32_t>(state_->shared[tier], hashes, state_->options.group_blocks[tier]);
  };
  std::array<Cursor<std::int32_t>, kIndexTiers> cursors = {cursor(0), cursor(1), cursor(2)};
  std::size_t block = 0;
  for (; block < hashes.size(); ++block) {
    bool here = false;
    for (Cursor<std::int32_t>& tier : cursors) here = here || tier.at(block) > 0;
    if (!here) break;
  }
  return static_cast<std::int32_t>(block);
}

}  // namespace kvsim
