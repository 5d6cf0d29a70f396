// What routers that predict seconds share: a time for computing a prompt on a replica, and the
// work that a replica still owes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/frontend/router.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

// Time of one prompt on an idle replica: Router::Context::prefill_time where there is one, else
// computed tokens / ReplicaFacts::prefill_tokens_per_s. Where that rate is not stated either, a
// token counts as a second: comparing tokens stays right, but nothing is a prediction.
// Replicas of one pool are taken to be equal, so a cluster costs few calls per request.
class PrefillTime {
 public:
  explicit PrefillTime(const Router::Context& context);
  // Of a prompt of `tokens` whose first `cached` need not be computed; the last one always is.
  [[nodiscard]] Seconds operator()(std::int32_t replica, std::int64_t tokens, std::int64_t cached);

 private:
  struct Known {
    std::int64_t cached = -1;
    std::int64_t computed = -1;
    std::int32_t kind = -1;
    Seconds time{0};
  };
  static constexpr std::size_t kKnown = 256;  // a cache of answers: changes speed, not results

  [[nodiscard]] Seconds predict(std::int32_t replica, std::int64_t cached,
                                std::int64_t computed) const;

  decltype(Router::Context::prefill_time) time_;
  std::vector<double> tokens_per_s_;
  std::vector<std::int32_t> kinds_;  // replicas of equal kind compute equally fast
  std::array<Known, kKnown> known_;
};

// Predicted seconds of prefill that replicas owe to requests of this router, from routing until the
// first token (or the end, whichever comes first). What is half done counts in full.
class PrefillBacklog {
 public:
  explicit PrefillBacklog(std::size_t replicas) : owed_(replicas), requests_(replicas) {}

  // A request is named once; a number used again replaces what it stood for.
  void add(std::int64_t number, std::int32_t replica, Seconds work);
  // Unknown numbers are ignored.
  void remove(std::int64_t number);

  [[nodiscard]] Seconds seconds(std::size_t replica) const { return owed_[replica]; }
  [[nodiscard]] std::int64_t requests(std::size_t replica) const { return requests_[replica]; }

 private:
  struct Pending {
    std::int32_t replica = 0;
    Seconds work{0};
  };
  HashMap<Pending> pending_;  // by number + 1, as a map's key is never 0
  std::vector<Seconds> owed_;
  std::vector<std::int64_t> requests_;
};

}  // namespace kvsim
