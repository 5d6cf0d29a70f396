#include "sim/frontend/kv_map_recorder.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// Which class of held_by.
std::size_t class_of(std::int32_t holders) {
  if (holders <= 2) return static_cast<std::size_t>(holders - 1);
  return holders <= 4 ? 2 : 3;
}

}  // namespace

// One cache or store: how many entries it has of each name.
class KvMapRecorder::Holder {
 public:
  Holder(KvMapRecorder& map, std::size_t tier) : map_(map), tier_(tier) {
    ++map.tiers_[tier].counts.holders;
  }
  virtual ~Holder() = default;
  Holder(const Holder&) = delete;

 protected:
  void take_in(BlockHash name, const Shape& shape) {
    map_.prefetch(name);
    count(shape.bytes, 1);
    if (++held_[name] == 1) map_.enter(tier_, name, shape);
  }
  // What it never had is ignored: it may have come before anybody listened.
  void give_up(BlockHash name, Bytes bytes) {
    map_.prefetch(name);
    std::int32_t* held = held_.find(name);
    if (held == nullptr) return;
    count(bytes, -1);
    if (--*held > 0) return;
    held_.erase(name);
    map_.leave(tier_, name);
  }
  // Of what it has: not looked up, for speed.
  void use(BlockHash name) { map_.use(tier_, name); }
  // Gives up all of it; `bytes` in all.
  void give_up_all(Bytes bytes) {
    KvMapCounts& counts = map_.tiers_[tier_].counts;
    counts.bytes -= bytes;
    held_.for_each([&](BlockHash name, std::int32_t held) {
      counts.entries -= held;
      map_.leave(tier_, name);
    });
    held_ = {};
  }
  [[nodiscard]] std::int64_t entries() const {
    std::int64_t all = 0;
    held_.for_each([&](BlockHash, std::int32_t held) { all += held; });
    return all;
  }

 private:
  void count(Bytes bytes, std::int64_t sign) {
    KvMapCounts& counts = map_.tiers_[tier_].counts;
    counts.entries += sign;
    counts.bytes += bytes * sign;
  }

  KvMapRecorder& map_;
  std::size_t tier_;
  HashMap<std::int32_t> held_;
};

class KvMapRecorder::Cache final : public Holder, public BlockListener {
 public:
  Cache(KvMapRecorder& map, std::size_t tier, const Shape& shape)
      : Holder(map, tier), shape_(shape) {}
  void cached(BlockHash hash) override { take_in(name(hash), shape_); }
  void evicted(BlockHash hash) override { give_up(name(hash), shape_.bytes); }
  void used(BlockHash hash) override { use(name(hash)); }
  void cleared() override { give_up_all(shape_.bytes * entries()); }

 private:
  // Never 0.
  [[nodiscard]] BlockHash name(BlockHash hash) const {
    return shape_.salt == 0 ? hash : (hash ^ shape_.salt) | 1;
  }
  Shape shape_;
};

class KvMapRecorder::Kept final : public Holder, public StoreListener {
 public:
  using Holder::Holder;
  void stored(const Command& put) override {
    gone(put.key);
    if (put.content.name == 0) return;
    values_[put.key] = {put.content.name, put.bytes};
    bytes_ += put.bytes;
    take_in(put.content.name, {.tokens = put.content.tokens, .bytes = put.bytes});
  }
  void read(StoreKey key) override {
    if (const Value* value = values_.find(key)) use(value->name);
  }
  void gone(StoreKey key) override {
    const Value* found = values_.find(key);
    if (found == nullptr) return;
    const Value value = *found;
    values_.erase(key);
    bytes_ -= value.bytes;
    give_up(value.name, value.bytes);
  }
  void cleared() override {
    values_ = {};
    give_up_all(std::exchange(bytes_, Bytes(0)));
  }

 private:
  struct Value {
    BlockHash name = 0;
    Bytes bytes{0};
  };
  HashMap<Value> values_;
  Bytes bytes_{0};
};

KvMapRecorder::KvMapRecorder(std::size_t tiers, std::int64_t window, std::function<Seconds()> now)
    : window_(window), now_(std::move(now)), tiers_(tiers) {
  KV_CHECK(window >= 1, "a window of {} periods", window);
  for (Tier& tier : tiers_) {
    tier.used_in.push_back(0);
    tier.counts.also_in.assign(tiers, Tokens(0));
  }
}

KvMapRecorder::~KvMapRecorder() = default;

BlockListener& KvMapRecorder::add_cache(std::size_t tier, const Shape& shape) {
  auto holder = std::make_unique<Cache>(*this, tier, shape);
  Cache& out = *holder;
  holders_.push_back(std::move(holder));
  return out;
}

StoreListener& KvMapRecorder::add_store(std::size_t tier) {
  auto holder = std::make_unique<Kept>(*this, tier);
  Kept& out = *holder;
  holders_.push_back(std::move(holder));
  return out;
}

void KvMapRecorder::enter(std::size_t index, BlockHash name, const Shape& shape) {
  Tier& tier = tiers_[index];
  KvMapCounts& counts = tier.counts;
  Entry& entry = tier.entries[name];
  ++counts.held;
  if (entry.holders > 0) {
    --counts.held_by[class_of(entry.holders)];
    ++counts.held_by[class_of(++entry.holders)];
    return;
  }
  entry.holders = 1;
  entry.tokens = shape.tokens;
  entry.bytes = shape.bytes;
  entry.stored = now_();
  ++counts.held_by[0];
  ++counts.distinct;
  ++counts.dead;
  counts.distinct_bytes += shape.bytes;
  counts.distinct_tokens += Tokens(shape.tokens);
  overlap(index, name, shape.tokens, 1);
}

void KvMapRecorder::leave(std::size_t index, BlockHash name) {
  Tier& tier = tiers_[index];
  KvMapCounts& counts = tier.counts;
  Entry& entry = *tier.entries.find(name);
  --counts.held;
  --counts.held_by[class_of(entry.holders)];
  if (--entry.holders > 0) {
    ++counts.held_by[class_of(entry.holders)];
    return;
  }
  --counts.distinct;
  --(entry.hits == 0 ? counts.dead : tier.used_in[static_cast<std::size_t>(entry.period)]);
  counts.distinct_bytes -= entry.bytes;
  counts.distinct_tokens -= Tokens(entry.tokens);
  overlap(index, name, entry.tokens, -1);
  tier.entries.erase(name);
}

// A name in several tiers stands for what the largest of its entries holds.
void KvMapRecorder::overlap(std::size_t index, BlockHash name, std::int64_t tokens,
                            std::int64_t sign) {
  std::int64_t others = 0;
  std::int64_t largest = 0;
  std::size_t one = 0;
  for (std::size_t i = 0; i < tiers_.size(); ++i) {
    const Entry* entry = i == index ? nullptr : tiers_[i].entries.find(name);
    if (entry == nullptr) continue;
    ++others;
    one = i;
    largest = std::max(largest, entry->tokens);
    const Tokens both(sign * std::max(tokens, entry->tokens));
    tiers_[index].counts.also_in[i] += both;
    tiers_[i].counts.also_in[index] += both;
  }
  if (others == 0) return;
  const std::int64_t with = std::max(largest, tokens);
  tiers_[index].counts.elsewhere += Tokens(sign * with);
  if (others == 1) {
    tiers_[one].counts.elsewhere += Tokens(sign * with);
    return;
  }
  for (std::size_t i = 0; i < tiers_.size(); ++i)
    if (i != index && tiers_[i].entries.find(name) != nullptr)
      tiers_[i].counts.elsewhere += Tokens(sign * (with - largest));
}

void KvMapRecorder::use(std::size_t index, BlockHash name) {
  Tier& tier = tiers_[index];
  Entry* entry = tier.entries.find(name);
  if (entry == nullptr) return;
  --(entry->hits == 0 ? tier.counts.dead : tier.used_in[static_cast<std::size_t>(entry->period)]);
  ++entry->hits;
  entry->used = now_();
  entry->period = static_cast<std::int64_t>(period_);
  ++tier.used_in[period_];
}

void KvMapRecorder::period_ends() {
  ++period_;
  for (Tier& tier : tiers_) tier.used_in.push_back(0);
}

std::vector<KvMapCounts> KvMapRecorder::counts() const {
  std::vector<KvMapCounts> out;
  const std::size_t window = std::min(period_ + 1, static_cast<std::size_t>(window_));
  for (const Tier& tier : tiers_) {
    out.push_back(tier.counts);
    KvMapCounts& counts = out.back();
    for (std::size_t i = 0; i < window; ++i) counts.hot += tier.used_in[period_ - i];
    counts.warm = counts.distinct - counts.dead - counts.hot;
  }
  return out;
}

std::vector<KvMapBlock> KvMapRecorder::most_copied(std::size_t count) const {
  struct Candidate {
    std::int64_t copies;
    std::int64_t hits;
    BlockHash name;
  };
  std::vector<Candidate> all;
  const auto find = [this](std::size_t tier, BlockHash name) {
    return tiers_[tier].entries.find(name);
  };
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    tiers_[tier].entries.for_each([&](BlockHash name, const Entry&) {
      for (std::size_t above = 0; above < tier; ++above)
        if (find(above, name) != nullptr) return;
      Candidate one{0, 0, name};
      for (std::size_t i = tier; i < tiers_.size(); ++i) {
        const Entry* entry = find(i, name);
        if (entry == nullptr) continue;
        one.copies += entry->holders;
        one.hits += entry->hits;
      }
      all.push_back(one);
    });
  }
  const auto first = [](const Candidate& a, const Candidate& b) {
    if (a.copies != b.copies) return a.copies > b.copies;
    return a.hits != b.hits ? a.hits > b.hits : a.name < b.name;
  };
  count = std::min(count, all.size());
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(all.begin(), end, all.end(), first);
  std::vector<KvMapBlock> out;
  for (auto one = all.begin(); one != end; ++one) {
    KvMapBlock block{.name = one->name, .hits = one->hits, .stored = now_(), .used = Seconds(-1)};
    for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
      const Entry* entry = find(tier, one->name);
      block.copies.push_back(entry != nullptr ? entry->holders : 0);
      if (entry == nullptr) continue;
      block.tokens = std::max(block.tokens, entry->tokens);
      block.stored = std::min(block.stored, entry->stored);
      block.used = std::max(block.used, entry->used);
    }
    out.push_back(std::move(block));
  }
  return out;
}

}  // namespace kvsim
