#include "sim/frontend/epp/precise_prefix.hpp"

#include <algorithm>
#include <limits>

namespace kvsim {
namespace {

// Of a lookup in a store beside the picker. Assumed: a round trip in one zone.
constexpr Seconds kRemoteLookup{0.2e-3};

}  // namespace

PrecisePrefix::PrecisePrefix(const PrecisePrefixOptions& options, const Router::Context& context)
    : options_(options),
      block_tokens_(context.replicas.front().block_tokens),
      shares_(context.replicas.size(), 0.0) {
  const bool remote = options.backend == "redis" || options.backend == "valkey";
  lookup_time_ = options.round_trip.value_or(remote ? kRemoteLookup : Seconds(0));
}

void PrecisePrefix::match(const Ask& ask, const ClusterView& view) {
  const auto full = static_cast<std::size_t>(ask.input_tokens / block_tokens_);
  blocks_ = ask.prompt_hashes.first(std::min(full, ask.prompt_hashes.size()));
  std::fill(shares_.begin(), shares_.end(), 0.0);
  matches_.assign(shares_.size(), KvMatch{});
  if (view.cached == nullptr || blocks_.empty()) return;
  expire(view);
  view.cached->match(blocks_, matches_);
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    const KvMatch& match = matches_[i];
    shares_[i] = options_.gpu_weight * match.in(0) + options_.cpu_weight * match.in(1);
    if (options_.score_storage) shares_[i] += options_.other_weight * match.in(2);
  }
  normalise();
}

void PrecisePrefix::normalise() {
  if (!options_.min_max) {
    for (double& share : shares_)
      share = std::min(1.0, share / static_cast<double>(blocks_.size()));
    return;
  }
  // Over the replicas that hold anything; the others have 0.
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (const double share : shares_) {
    if (share <= 0) continue;
    low = std::min(low, share);
    high = std::max(high, share);
  }
  for (double& share : shares_)
    if (share > 0) share = high > low ? (share - low) / (high - low) : 1.0;
}

std::int64_t PrecisePrefix::hit_tokens(std::int32_t replica) const {
  const KvMatch& match = matches_[static_cast<std::size_t>(replica)];
  return block_tokens_ * (options_.score_storage ? match.all() : match.through[1]);
}

void PrecisePrefix::insert(std::int32_t replica, const ClusterView& view) {
  if (!options_.speculative || view.cached == nullptr || blocks_.empty()) return;
  for (const BlockHash hash : blocks_) {
    view.cached->add(replica, 0, hash);
    speculated_.push_back(hash);
  }
  speculations_.push_back({view.now + options_.speculative_ttl, replica, blocks_.size()});
}

void PrecisePrefix::expire(const ClusterView& view) {
  while (!speculations_.empty() && speculations_.front().until <= view.now) {
    const Speculation& past = speculations_.front();
    for (std::size_t i = 0; i < past.blocks; ++i) {
      if (past.replica >= 0) view.cached->remove(past.replica, 0, speculated_.front());
      speculated_.pop_front();
    }
    speculations_.pop_front();
  }
}

void PrecisePrefix::lost(std::int32_t replica) {
  for (Speculation& speculation : speculations_)
    if (speculation.replica == replica) speculation.replica = -1;
}

}  // namespace kvsim
