#include "sim/workload/hit_rate_curve.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

HitRateCurve::HitRateCurve(const Options& options) : options_(options) {
  KV_CHECK(options.block_tokens > 0 && options.sample_rate > 0 && options.sample_rate <= 1,
           "block {}, rate {}", options.block_tokens, options.sample_rate);
}

bool HitRateCurve::sampled(BlockHash hash) const {
  if (options_.sample_rate >= 1) return true;
  return static_cast<double>(mix64(hash)) < std::ldexp(options_.sample_rate, 64);
}

void HitRateCurve::start_request() {
  blocks_of_.push_back(0);
  if (blocks_of_.size() <= tree_.size()) return;
  // Twice as large: the tree anew from what each request has.
  constexpr std::size_t kLeast = 1024;
  tree_.assign(std::max(kLeast, 2 * tree_.size()), 0);
  blocks_ = 0;
  std::vector<std::int64_t> blocks(blocks_of_.size(), 0);
  blocks.swap(blocks_of_);
  for (std::size_t i = 0; i < blocks.size(); ++i) count_blocks(i, blocks[i]);
}

void HitRateCurve::count_blocks(std::size_t request, std::int64_t change) {
  blocks_ += change;
  blocks_of_[request] += change;
  for (std::size_t i = request + 1; i <= tree_.size(); i += i & -i) tree_[i - 1] += change;
}

std::int64_t HitRateCurve::newer_than(std::size_t request) const {
  std::int64_t sum = blocks_;
  for (std::size_t i = request + 1; i > 0; i -= i & -i) sum -= tree_[i - 1];
  return sum;
}

void HitRateCurve::hit_at(std::int64_t distance) {
  const auto index = static_cast<std::size_t>(distance);
  if (index >= hits_at_.size()) hits_at_.resize(std::max(index + 1, 2 * hits_at_.size()));
  ++hits_at_[index];
}

// Recency is by request, the newest first, then by place within a request. On the way down a prompt
// the last user of each block only gets older (who used a block used those before it), and the
// blocks that one earlier request still has are one stretch of the way. So the distance of a block,
// in the state before this request, is the blocks of newer requests plus its place in its stretch;
// blocks passed already are of newer requests.
void HitRateCurve::add(const Request& request) {
  const std::int64_t block = options_.block_tokens;
  const std::int64_t input = request.input.count();
  const std::int64_t looked_up = (options_.last_token_rule ? input - 1 : input) / block;
  const std::int64_t cached = options_.answers ? input + request.output.count() - 1 : input;
  hashes_.clear();
  extend_block_hashes(request, block, cached, hashes_);
  prompt_tokens_ += input;
  lookups_ += looked_up;
  const std::size_t self = blocks_of_.size();
  KV_CHECK(self < LastUserTable::kNobody, "too many requests");
  start_request();

  std::uint32_t owner = LastUserTable::kNobody;
  std::int64_t newer = 0;    // blocks of requests newer than the owner
  std::int64_t stretch = 0;  // of the owner
  std::int64_t passed = 0;
  for (std::size_t i = 0; i < hashes_.size(); ++i) {
    if (!sampled(hashes_[i])) continue;
    const std::uint32_t user = last_user_.exchange(hashes_[i], static_cast<std::uint32_t>(self));
    const bool lookup = static_cast<std::int64_t>(i) < looked_up;
    sampled_lookups_ += lookup ? 1 : 0;
    if (user != owner) {
      if (stretch > 0) count_blocks(owner, -stretch);
      stretch = 0;
      owner = user;
      if (owner != LastUserTable::kNobody) newer = newer_than(owner) + passed;
    }
    ++passed;
    if (owner == LastUserTable::kNobody) continue;
    ++stretch;
    if (lookup) hit_at(newer + stretch);
  }
  if (stretch > 0) count_blocks(owner, -stretch);
  count_blocks(self, passed);
}

double HitRateCurve::hit_tokens(std::int64_t capacity_blocks) const {
  const double rate = options_.sample_rate;
  const double reach =
      capacity_blocks < 0 ? 1e18 : std::floor(static_cast<double>(capacity_blocks) * rate);
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < hits_at_.size() && static_cast<double>(i) <= reach; ++i)
    hits += hits_at_[i];
  // What the sample has too few or too many of are mostly the hottest blocks, near the front.
  const double expected = static_cast<double>(lookups_) * rate;
  const double missing = reach >= 1 ? expected - static_cast<double>(sampled_lookups_) : 0;
  return std::max(0.0, static_cast<double>(hits) + missing) / rate *
         static_cast<double>(options_.block_tokens);
}

double HitRateCurve::hit_rate(std::int64_t capacity_blocks) const {
  return prompt_tokens_ == 0 ? 0
                             : hit_tokens(capacity_blocks) / static_cast<double>(prompt_tokens_);
}

double HitRateCurve::distinct_blocks() const {
  return static_cast<double>(last_user_.size()) / options_.sample_rate;
}

}  // namespace kvsim
