#include "sim/store/sampled_keys.hpp"

#include <algorithm>

namespace kvsim {

namespace {
constexpr std::size_t kPool = 16;            // Redis: EVPOOL_SIZE
constexpr std::uint8_t kFirstFrequency = 5;  // LFU_INIT_VAL
constexpr double kLogFactor = 10;            // lfu-log-factor
constexpr std::int64_t kDecay = 60;          // seconds, lfu-decay-time

SampledKeys::Policy policy_of(const std::string& name) {
  if (name == "allkeys-lru") return SampledKeys::Policy::kLru;
  if (name == "allkeys-lfu") return SampledKeys::Policy::kLfu;
  if (name == "allkeys-random") return SampledKeys::Policy::kRandom;
  return SampledKeys::Policy::kNone;
}

std::int64_t whole(Seconds now) { return static_cast<std::int64_t>(now.count()); }
}  // namespace

SampledKeys::SampledKeys(const std::string& policy, std::int64_t samples, Rng rng)
    : policy_(policy_of(policy)), samples_(samples), rng_(rng) {}

const SampledKeys::Entry* SampledKeys::find(StoreKey key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::uint8_t SampledKeys::decayed(const Entry& entry, Seconds now) const {
  const std::int64_t periods = (whole(now) - entry.used_at) / kDecay;
  return static_cast<std::uint8_t>(std::max<std::int64_t>(0, entry.frequency - periods));
}

void SampledKeys::used(StoreKey key, Seconds now) {
  Entry& entry = entries_[index_.at(key)];
  if (policy_ == Policy::kLfu) {
    entry.frequency = decayed(entry, now);
    const double base = std::max(0, entry.frequency - kFirstFrequency);
    if (entry.frequency < 255 && rng_.uniform() < 1 / (base * kLogFactor + 1)) ++entry.frequency;
  }
  entry.used_at = whole(now);
}

void SampledKeys::insert(StoreKey key, Bytes value, Bytes memory, Seconds now) {
  erase(key);
  index_.emplace(key, static_cast<std::uint32_t>(entries_.size()));
  entries_.push_back({key, value, memory, whole(now), kFirstFrequency});
  memory_ += memory;
  values_ += value;
}

void SampledKeys::erase(StoreKey key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  Entry& entry = entries_[found->second];
  memory_ -= entry.memory;
  values_ -= entry.value;
  entry = entries_.back();
  index_[entry.key] = found->second;
  entries_.pop_back();
  index_.erase(key);
}

void SampledKeys::clear() {
  entries_.clear();
  index_.clear();
  pool_.clear();
  memory_ = values_ = Bytes(0);
}

double SampledKeys::score(const Entry& entry, Seconds now) const {
  if (policy_ == Policy::kLfu) return 255 - decayed(entry, now);
  return static_cast<double>(whole(now) - entry.used_at);
}

void SampledKeys::sample(Seconds now) {
  for (std::int64_t i = 0; i < samples_; ++i) {
    const Entry& entry = entries_[rng_.below(entries_.size())];
    const auto same = [&](const Candidate& other) { return other.key == entry.key; };
    if (std::any_of(pool_.begin(), pool_.end(), same)) continue;
    const Candidate candidate{entry.key, score(entry, now)};
    if (pool_.size() == kPool && candidate.score <= pool_.front().score) continue;
    const auto at =
        std::lower_bound(pool_.begin(), pool_.end(), candidate,
                         [](const Candidate& a, const Candidate& b) { return a.score < b.score; });
    pool_.insert(at, candidate);
    if (pool_.size() > kPool) pool_.erase(pool_.begin());
  }
}

std::optional<SampledKeys::Entry> SampledKeys::victim(Seconds now) {
  if (policy_ == Policy::kNone || entries_.empty()) return std::nullopt;
  if (policy_ == Policy::kRandom) return entries_[rng_.below(entries_.size())];
  for (;;) {
    sample(now);
    while (!pool_.empty()) {
      const StoreKey best = pool_.back().key;
      pool_.pop_back();
      if (const Entry* entry = find(best)) return *entry;  // others went since they were sampled
    }
  }
}

}  // namespace kvsim
