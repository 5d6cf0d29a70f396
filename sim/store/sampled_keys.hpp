// The keys of a Redis or Valkey and how it picks the next to evict: approximate, by samples.
//
// Source: Redis documentation, "Key eviction": of maxmemory_samples random keys the best candidates
// enter a pool of 16, the best of the pool goes. Recency has the resolution of Redis's clock, one
// second; LFU is its logarithmic counter of 8 bits (lfu-log-factor 10) that loses one a minute
// (lfu-decay-time 1). Left out: Redis samples neighbouring hash buckets, here every key alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

class SampledKeys {
 public:
  enum class Policy : std::uint8_t { kNone, kLru, kLfu, kRandom };
  struct Entry {
    StoreKey key = 0;
    Bytes value{0};
    Bytes memory{0};
    std::int64_t used_at = 0;  // whole seconds
    std::uint8_t frequency = 5;
  };

  // `policy` by Redis's name: noeviction, allkeys-lru, ...; volatile-* never find a key, as none
  // has a time to live.
  SampledKeys(const std::string& policy, std::int64_t samples, Rng rng);

  // nullptr when it is not there. Counts as no use.
  [[nodiscard]] const Entry* find(StoreKey key) const;
  void used(StoreKey key, Seconds now);
  void insert(StoreKey key, Bytes value, Bytes memory, Seconds now);  // replaces
  void erase(StoreKey key);
  void clear();
  // Which to evict now; nullopt when the policy has none to give. It stays until erased.
  [[nodiscard]] std::optional<Entry> victim(Seconds now);

  [[nodiscard]] bool evicts() const { return policy_ != Policy::kNone; }
  [[nodiscard]] Bytes memory() const { return memory_; }
  [[nodiscard]] Bytes values() const { return values_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Candidate {
    StoreKey key;
    double score;  // the higher the sooner
  };
  [[nodiscard]] double score(const Entry& entry, Seconds now) const;
  [[nodiscard]] std::uint8_t decayed(const Entry& entry, Seconds now) const;
  void sample(Seconds now);

  Policy policy_;
  std::int64_t samples_;
  Rng rng_;
  std::vector<Entry> entries_;
  std::unordered_map<StoreKey, std::uint32_t> index_;
  std::vector<Candidate> pool_;  // worst first
  Bytes memory_{0};
  Bytes values_{0};
};

}  // namespace kvsim
