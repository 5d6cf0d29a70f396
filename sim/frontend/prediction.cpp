#include "sim/frontend/prediction.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

BlockHash key_of(std::int64_t number) { return static_cast<BlockHash>(number) + 1; }

}  // namespace

PrefillTime::PrefillTime(const Router::Context& context) : time_(context.prefill_time) {
  const std::vector<ReplicaFacts>& facts = context.replicas;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    tokens_per_s_.push_back(facts[i].prefill_tokens_per_s > 0 ? facts[i].prefill_tokens_per_s : 1);
    std::size_t like = 0;
    while (facts[like].pool != facts[i].pool ||
           facts[like].prefill_tokens_per_s != facts[i].prefill_tokens_per_s) {
      ++like;
    }
    kinds_.push_back(static_cast<std::int32_t>(like));
  }
}

Seconds PrefillTime::operator()(std::int32_t replica, std::int64_t tokens, std::int64_t cached) {
  cached = std::max<std::int64_t>(0, std::min(cached, tokens - 1));
  const std::int64_t computed = tokens - cached;
  const std::int32_t kind = kinds_[static_cast<std::size_t>(replica)];
  const std::uint64_t mixed =
      mix64(static_cast<std::uint64_t>(cached) * 0x9e3779b97f4a7c15ULL +
            static_cast<std::uint64_t>(computed) + (static_cast<std::uint64_t>(kind) << 40));
  Known& known = known_[mixed % kKnown];
  if (known.kind != kind || known.cached != cached || known.computed != computed)
    known = {cached, computed, kind, predict(replica, cached, computed)};
  return known.time;
}

Seconds PrefillTime::predict(std::int32_t replica, std::int64_t cached,
                             std::int64_t computed) const {
  if (time_) return time_(replica, cached, computed);
  return Seconds(static_cast<double>(computed) / tokens_per_s_[static_cast<std::size_t>(replica)]);
}

void PrefillBacklog::add(std::int64_t number, std::int32_t replica, Seconds work) {
  if (number < 0) return;
  remove(number);
  pending_[key_of(number)] = {replica, work};
  owed_[static_cast<std::size_t>(replica)] += work;
  ++requests_[static_cast<std::size_t>(replica)];
}

void PrefillBacklog::remove(std::int64_t number) {
  if (number < 0) return;
  const Pending* pending = pending_.find(key_of(number));
  if (pending == nullptr) return;
  const auto replica = static_cast<std::size_t>(pending->replica);
  owed_[replica] -= pending->work;
  // Nobody left: what rounding has left goes too.
  if (--requests_[replica] == 0) owed_[replica] = Seconds(0);
  pending_.erase(key_of(number));
}

}  // namespace kvsim
