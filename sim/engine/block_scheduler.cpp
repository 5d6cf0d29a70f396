#include "sim/engine/block_scheduler.hpp"

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/engine/chunk_shape.hpp"

namespace kvsim {

BlockScheduler::BlockScheduler(const Context& context)
    : limits_(context.limits),
      pool_(context.pool),
      connector_(context.connector),
      window_(context.window),
      blocks_(pool_, connector_, limits_.prefix_caching, [this] { open(); }),
      decodes_(limits_.block_tokens, context.window),
      waiting_(limits_.by_priority) {}

void BlockScheduler::add(Sequence& sequence) {
  waiting_.push_back(sequence);
  if (!full_) blocked_ = false;
}

void BlockScheduler::begin(StepPlan& plan, Seconds now) {
  plan.clear();
  now_ = now;
  if (running_.empty()) open();
}

void BlockScheduler::complete(StepPlan& plan, bool decodes_compute) {
  if (decodes_compute) {
    decodes_.describe(plan.shape, pool_.repeated());
    if (limits_.wasted_last_step) waste(plan);
  } else {
    plan.paused = static_cast<std::int32_t>(decodes_.size());
    ended_before_ = ended_context_ = 0;
  }
  if (plan.empty()) return;
  ++step_;
  if (plan.shape.decode_sequences > plan.wasted) {
    decodes_.advance(plan.finishing);
    decoded();
  }
  start_decoding(plan);
  for (Sequence* sequence : plan.finishing) {
    blocks_.ending(*sequence);
    if (!limits_.wasted_last_step) continue;
    ++ended_before_;
    ended_context_ += sequence->computed + 1;
  }
}

// Those that ended in the plan before this one are still in this one.
void BlockScheduler::waste(StepPlan& plan) {
  plan.wasted = static_cast<std::int32_t>(ended_before_);
  plan.shape.decode_sequences += plan.wasted;
  plan.shape.sampled += plan.wasted;
  plan.shape.decode_context += ended_context_;
  if (window_ > 0)
    plan.shape.decode_window_context += std::min(ended_context_, window_ * ended_before_);
  ended_before_ = ended_context_ = 0;
}

void BlockScheduler::start_decoding(StepPlan& plan) {
  for (Sequence* sequence : plan.tokens_from_prefill) {
    std::erase(prefills_, sequence);
    ++sequence->produced;
    if (sequence->produced == sequence->request.output.count()) {
      sequence->state = Sequence::State::kCompleting;
      plan.finishing.push_back(sequence);
    } else {
      decodes_.add(*sequence);
    }
  }
}

void BlockScheduler::plan_steady(StepShape& shape, Seconds now) {
  now_ = now;
  grow_decodes();
  shape = {};
  decodes_.describe(shape, pool_.repeated());
  decodes_.advance(unexpected_);
  KV_CHECK(unexpected_.empty());
  ++step_;
  decoded();
}

std::int64_t BlockScheduler::steady_decodes() {
  if (!prefills_.empty() || decodes_.uneven() || decodes_.size() == 0) return 0;
  if (waiting_.front() != nullptr && !blocked_) return 0;
  const std::int64_t most = decodes_.next_finish() - decodes_.step();
  // New blocks may have to be copied out first, or full ones stored: such a step is on its own.
  const bool stores = connector_ != nullptr && connector_->stores_generated();
  std::int64_t free = pool_.free();
  std::int64_t plans = 0;
  constexpr std::int64_t kLongestRun = 4096;
  while (plans < std::min(most, kLongestRun)) {
    const std::int64_t needed = decodes_.crossing_count(decodes_.step() + plans);
    if (needed > free || (stores && needed > 0)) break;
    free -= needed;
    ++plans;
  }
  return plans;
}

void BlockScheduler::grow_decodes() {
  for (Sequence* sequence : decodes_.crossing()) {
    // The one before the new block is full; not when it belongs to a prompt that still computes.
    if (publishes_decodes() && !is_pending(*sequence))
      blocks_.publish(*sequence, held(*sequence), step_);
    blocks_.allocate(*sequence, 1, step_);
  }
}

void BlockScheduler::cache(Sequence& sequence, std::int64_t full) {
  full = std::min({full, held(sequence), static_cast<std::int64_t>(sequence.hashes.size())});
  if (full <= sequence.hashed) return;
  if (limits_.prefix_caching) {
    const auto from = static_cast<std::size_t>(sequence.hashed);
    const auto count = static_cast<std::size_t>(full - sequence.hashed);
    pool_.cache(std::span(sequence.blocks).subspan(from, count),
                std::span(sequence.hashes).subspan(from, count));
  }
  sequence.hashed = full;
}

void BlockScheduler::step_ended(std::int64_t step) {
  std::size_t due = 0;
  for (; due < pending_.size() && pending_[due].step <= step; ++due)
    cache(*pending_[due].sequence, pending_[due].blocks);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(due));
}

bool BlockScheduler::is_pending(const Sequence& sequence) const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [&](const Pending& p) { return p.sequence == &sequence; });
}

bool BlockScheduler::forget_pending(const Sequence& sequence) {
  return std::erase_if(pending_, [&](const Pending& p) { return p.sequence == &sequence; }) > 0;
}

void BlockScheduler::end(Sequence& sequence) {
  const bool unfinished = forget_pending(sequence);
  if (sequence.state == Sequence::State::kWaiting || sequence.state == Sequence::State::kLoading) {
    waiting_.remove(sequence);
  } else {
    if (sequence.state == Sequence::State::kDecode) decodes_.remove(sequence);
    if (sequence.state == Sequence::State::kPrefill) std::erase(prefills_, &sequence);
    running_.erase(std::find(running_.begin(), running_.end(), &sequence));
    if (!unfinished) blocks_.publish(sequence, sequence.computed / limits_.block_tokens, step_);
  }
  sequence.state = Sequence::State::kEnded;
  blocks_.release(sequence);
  open();
}

void BlockScheduler::loaded(Sequence& sequence, std::int64_t tokens) {
  KV_CHECK(sequence.state == Sequence::State::kLoading);
  sequence.state = Sequence::State::kWaiting;
  sequence.computed = std::min(sequence.computed, tokens);
  blocks_.publish(sequence, sequence.computed / limits_.block_tokens, step_);
  // A full hit still computes one token, to have something to sample from.
  sequence.computed = std::min(sequence.computed, sequence.known() - 1);
  waiting_.remove(sequence);
  waiting_.push_loaded(sequence);
  open();
}

std::int64_t BlockScheduler::produced(const Sequence& sequence) const {
  if (sequence.state != Sequence::State::kDecode) return sequence.produced;
  return decodes_.computed(sequence) + 1 - sequence.prompt_tokens;
}

BlockScheduler::Found BlockScheduler::look_up(const Sequence& sequence) {
  Found found;
  if (sequence.looked_up) {
    found.blocks = held(sequence);
    found.start = sequence.computed;
    return found;
  }
  if (limits_.prefix_caching) {
    // At least the last known token is always computed.
    const std::int64_t most = (sequence.known() - 1) / limits_.block_tokens;
    found.blocks = pool_.match(std::span(sequence.hashes).first(static_cast<std::size_t>(most)));
  }
  found.start = found.blocks * limits_.block_tokens;
  if (connector_ == nullptr) return found;
  found.external = connector_->match(sequence, found.start, sequence.known());
  found.start += found.external.tokens;
  return found;
}

std::int64_t BlockScheduler::taken_by_hits(const Sequence& sequence, const Found& found) const {
  if (sequence.looked_up) return 0;
  return pool_.unreferenced(
      std::span(sequence.hashes).first(static_cast<std::size_t>(found.blocks)));
}

bool BlockScheduler::take(Sequence& sequence, const Found& found, StepPlan& plan) {
  const bool first = sequence.first_scheduled < Seconds(0);
  if (!sequence.looked_up) {
    pool_.share(std::span(sequence.hashes).first(static_cast<std::size_t>(found.blocks)),
                sequence.blocks);
    sequence.hashed = found.blocks;
    sequence.looked_up = true;
    // Hits when it comes back after a preemption are not the cache's merit.
    if (first) sequence.record.hit_tokens[0] += found.blocks * limits_.block_tokens;
  }
  sequence.computed = found.start;
  if (found.external.tokens == 0) return false;
  for (std::size_t tier = 0; tier < kLowerTiers && first; ++tier)
    sequence.record.hit_tokens[tier + 1] += found.external.by_tier[tier];
  blocks_.allocate(sequence, blocks_for(found.start) - found.blocks, step_);
  sequence.load_to = found.start;
  if (found.waits()) {
    sequence.state = Sequence::State::kLoading;
    sequence.load_began = now_;
  } else {
    plan.loads.push_back(&sequence);
  }
  // It may end at once, when a tier has failed since it was asked.
  connector_->load(sequence, found.start - found.external.tokens, found.start, step_);
  return found.waits();
}

void BlockScheduler::start(Sequence& sequence) {
  waiting_.remove(sequence);
  sequence.order = next_order_++;
  running_.push_back(&sequence);
  prefills_.push_back(&sequence);
  sequence.state = Sequence::State::kPrefill;
  if (sequence.first_scheduled < Seconds(0)) {
    sequence.first_scheduled = now_;
    sequence.take_prefetched();
    sequence.fetched_before = sequence.record.fetch;
    sequence.lookup_before = sequence.lookup_time;
  }
  recomputed_ += std::max<std::int64_t>(0, sequence.lost - sequence.computed);
  sequence.lost = 0;
}

void BlockScheduler::compute_chunk(Sequence& sequence, std::int64_t chunk, StepPlan& plan) {
  const std::int64_t before = sequence.computed;
  const std::int64_t after = before + chunk;
  blocks_.allocate(sequence, blocks_for(after) - held(sequence), step_);
  sequence.chunk_from = before;
  sequence.computed = after;
  count_chunk(plan.shape, before, after, window_);
  const std::int64_t full =
      std::min(after / limits_.block_tokens, static_cast<std::int64_t>(sequence.hashes.size()));
  if (full > sequence.hashed) {
    pending_.push_back({&sequence, full, step_});
    if (connector_ != nullptr) connector_->completed(sequence, full, step_);
  }
  if (after == sequence.known()) {
    ++plan.shape.sampled;
    plan.tokens_from_prefill.push_back(&sequence);
  }
}

void BlockScheduler::start_over(Sequence& sequence) {
  forget_pending(sequence);
  blocks_.release(sequence);
  sequence.computed = 0;
  sequence.looked_up = false;
  sequence.state = Sequence::State::kWaiting;
  if (sequence.first_scheduled < Seconds(0)) sequence.record.hit_tokens = {};
}

void BlockScheduler::preempt(Sequence& victim) {
  running_.erase(std::find(running_.begin(), running_.end(), &victim));
  if (victim.state == Sequence::State::kDecode) {
    decodes_.remove(victim);
  } else {
    std::erase(prefills_, &victim);
  }
  ++victim.record.preemptions;
  victim.last_token = now_;
  victim.lost = victim.computed;
  victim.preempted = true;
  start_over(victim);
  open();
}

bool BlockScheduler::take_back(const Sequence* except) {
  for (Sequence* other = waiting_.front(); other != nullptr; other = other->next) {
    if (other == except || other->state != Sequence::State::kWaiting || other->blocks.empty())
      continue;
    start_over(*other);
    return true;
  }
  return false;
}

}  // namespace kvsim
