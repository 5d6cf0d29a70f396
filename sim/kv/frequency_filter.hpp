// Who has been seen often enough lately: Dynamo KVBM's filter in front of its disk tier
// (spec/dynamo.md section 5). A key's count is 1 when it is first seen and doubles each time; it
// falls by 1 every period, and a key whose count is 0 is forgotten. When too many keys are known
// the one that was not seen for the longest is forgotten (assumed).
#pragma once

#include <cstdint>

#include "sim/base/units.hpp"
#include "sim/kv/hash_map.hpp"
#include "sim/kv/key_list.hpp"

namespace kvsim {

class FrequencyFilter {
 public:
  struct Options {
    std::int64_t least = 2;
    Seconds period{600};
    std::int64_t most_keys = 1'000'000;
  };
  explicit FrequencyFilter(const Options& options) : options_(options) {}

  // Counts this time; true when the key passes.
  bool seen(BlockHash key, Seconds now) {
    const auto period = static_cast<std::int64_t>(now.count() / options_.period.count());
    if (!order_.contains(key) && order_.size() >= options_.most_keys)
      counts_.erase(order_.pop_front());
    order_.push_back(key);
    Count& count = counts_[key];
    count.value = std::max<std::int64_t>(0, count.value - (period - count.period));
    count.period = period;
    count.value = std::min(std::max<std::int64_t>(1, 2 * count.value), kMost);
    return count.value >= options_.least;
  }

 private:
  static constexpr std::int64_t kMost = std::int64_t{1} << 40;
  struct Count {
    std::int64_t value = 0;
    std::int64_t period = 0;  // that `value` is of
  };
  Options options_;
  HashMap<Count> counts_;
  KeyList order_;  // longest not seen first
};

}  // namespace kvsim
