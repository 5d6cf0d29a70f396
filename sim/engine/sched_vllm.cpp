// vLLM V1's scheduler (spec/vllm.md sections 1, 2, 4 and 5): running requests first in admission
// order, then waiting ones; no prefill or decode phase, each request only has tokens left to
// compute; the newest running request is preempted when blocks run out, by recompute, and nobody is
// admitted in that step; an admission that fails stops the pass.
//
// Left out: speculative tokens, LoRA, encoder inputs; KV-cache groups of hybrid models (blocks
// outside a sliding window stay allocated). Blocks that decodes fill become hittable one step later
// than they are scheduled, as under asynchronous scheduling, where their hash is not known earlier.
#include <algorithm>
#include <limits>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/chunk_shape.hpp"
#include "sim/engine/decode_set.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/engine/sequence_blocks.hpp"
#include "sim/engine/waiting_queue.hpp"

namespace kvsim {
namespace {

class VllmScheduler final : public Scheduler {
 public:
  using Options = NoOptions;

  VllmScheduler(const Options&, const Context& context)
      : limits_(context.limits),
        pool_(context.pool),
        connector_(context.connector),
        window_(context.window),
        blocks_(pool_, connector_, limits_.prefix_caching, [this] { blocked_ = false; }),
        decodes_(limits_.block_tokens, context.window),
        waiting_(limits_.by_priority) {}

  bool can_compute(const Request& request) const override {
    // After a preemption the answer so far is computed again, in one step with the prompt.
    const std::int64_t length = request.input.count() + request.output.count();
    return limits_.chunked_prefill || length <= limits_.max_batched_tokens;
  }

  void add(Sequence& sequence) override {
    waiting_.push_back(sequence);
    if (limits_.by_priority || !stopped_) blocked_ = false;
  }

  bool plan(StepPlan& plan, Seconds now) override {
    plan.clear();
    budget_ = limits_.max_batched_tokens;
    preempted_ = false;
    stalled_ = false;
    now_ = now;
    schedule_running(plan);
    return resume(plan, now);
  }

  bool resume(StepPlan& plan, Seconds now) override {
    now_ = now;
    // Nobody is admitted beside a preemption; when that leaves nothing to run, the next pass
    // follows at once.
    if (!stalled_ && (!preempted_ || (plan.empty() && decodes_.size() == 0)) && !admit(plan))
      return false;
    complete(plan);
    return true;
  }

  void complete(StepPlan& plan) {
    decodes_.describe(plan.shape, pool_.repeated());
    if (limits_.wasted_last_step) waste(plan);
    ended_before_ = ended_context_ = 0;
    if (!plan.empty()) decodes_.advance(plan.finishing);
    for (Sequence* sequence : delayed_) decodes_.add(*sequence);
    delayed_.clear();
    if (plan.empty()) return;
    start_decoding(plan);
    for (Sequence* sequence : plan.finishing) {
      blocks_.ending(*sequence);
      ++ended_before_;
      ended_context_ += sequence->computed + 1;
    }
  }

  std::int64_t steady_plans() override {
    if (!prefills_.empty() || decodes_.uneven() || decodes_.size() == 0) return 0;
    if (waiting_.front() != nullptr && !blocked_) return 0;
    if (decodes_.size() > limits_.max_batched_tokens) return 0;
    const std::int64_t most = decodes_.next_finish() - decodes_.step();
    std::int64_t free = pool_.free();
    std::int64_t plans = 0;
    const bool stores = connector_ != nullptr && connector_->stores_generated();
    constexpr std::int64_t kLongestRun = 4096;
    while (plans < std::min(most, kLongestRun)) {
      const std::int64_t needed = decodes_.crossing_count(decodes_.step() + plans);
      if (needed > free || (stores && needed > 0)) break;
      free -= needed;
      ++plans;
    }
    return plans;
  }

  void plan_steady(StepShape& shape, Seconds now) override {
    now_ = now;
    for (Sequence* sequence : decodes_.crossing()) grow_decode(*sequence);
    shape = {};
    decodes_.describe(shape, pool_.repeated());
    decodes_.advance(unexpected_);
    KV_CHECK(unexpected_.empty());
  }

  void end(Sequence& sequence) override {
    if (is_waiting(sequence)) {
      waiting_.remove(sequence);
    } else {
      if (sequence.state == Sequence::State::kDecode) decodes_.remove(sequence);
      if (sequence.state == Sequence::State::kPrefill) std::erase(prefills_, &sequence);
      running_.erase(std::find(running_.begin(), running_.end(), &sequence));
      publish_hashes(sequence, sequence.computed / limits_.block_tokens);
    }
    sequence.state = Sequence::State::kEnded;
    blocks_.release(sequence);
    blocked_ = false;
  }

  void loaded(Sequence& sequence, std::int64_t tokens) override {
    KV_CHECK(sequence.state == Sequence::State::kLoading);
    sequence.state = Sequence::State::kWaiting;
    sequence.computed = std::min(sequence.computed, tokens);
    publish_hashes(sequence, sequence.computed / limits_.block_tokens);
    // A full hit still computes one token, to have something to sample from.
    sequence.computed = std::min(sequence.computed, sequence.known() - 1);
    waiting_.remove(sequence);
    waiting_.push_loaded(sequence);
    blocked_ = false;
  }

  void unblock() override { blocked_ = false; }
  std::int64_t running() const override { return static_cast<std::int64_t>(running_.size()); }
  std::int64_t waiting() const override { return waiting_.size(); }
  std::int64_t produced(const Sequence& sequence) const override {
    if (sequence.state != Sequence::State::kDecode) return sequence.produced;
    return decodes_.computed(sequence) + 1 - sequence.prompt_tokens;
  }
  std::int64_t recomputed() const override { return recomputed_; }

 private:
  static bool is_waiting(const Sequence& sequence) {
    return sequence.state == Sequence::State::kWaiting ||
           sequence.state == Sequence::State::kLoading;
  }
  std::int64_t blocks_for(std::int64_t tokens) const {
    return groups_of(tokens, limits_.block_tokens);
  }
  static std::int64_t held(const Sequence& sequence) { return SequenceBlocks::held(sequence); }
  std::int64_t chunk_of(const Sequence& sequence, std::int64_t budget) const {
    std::int64_t chunk = sequence.known() - sequence.computed;
    if (limits_.long_prefill_threshold > 0) chunk = std::min(chunk, limits_.long_prefill_threshold);
    return std::min(chunk, budget);
  }

  // --- running requests ---

  void schedule_running(StepPlan& plan) {
    const bool ordered =
        prefills_.empty() || (prefills_.size() == 1 && running_.back() == prefills_.front());
    if (ordered && schedule_running_fast(plan)) return;
    schedule_running_in_order(plan);
  }

  // Everybody fits: decodes first, then at most one prompt in progress, the newest. False, with
  // nothing changed, when blocks or tokens run out.
  bool schedule_running_fast(StepPlan& plan) {
    if (decodes_.size() > budget_) return false;
    Sequence* prefill = prefills_.empty() ? nullptr : prefills_.front();
    std::int64_t chunk = 0;
    std::int64_t needed = decodes_.crossing_count();
    if (prefill != nullptr) {
      chunk = chunk_of(*prefill, budget_ - decodes_.size());
      if (chunk > 0)
        needed += std::max<std::int64_t>(0, blocks_for(prefill->computed + chunk) - held(*prefill));
    }
    if (needed > pool_.free()) return false;
    for (Sequence* sequence : decodes_.crossing()) grow_decode(*sequence);
    budget_ -= decodes_.size();
    if (chunk > 0) compute_chunk(*prefill, chunk, plan);
    return true;
  }

  void schedule_running_in_order(StepPlan& plan) {
    for (cursor_ = 0; cursor_ < running_.size(); ++cursor_) {
      Sequence& sequence = *running_[cursor_];
      if (sequence.state == Sequence::State::kCompleting) continue;
      const bool decoding = sequence.state == Sequence::State::kDecode;
      const std::int64_t chunk =
          decoding ? std::min<std::int64_t>(1, budget_) : chunk_of(sequence, budget_);
      if (chunk == 0) {
        if (decoding) delay(sequence);
        continue;
      }
      const std::int64_t computed = decoding ? decodes_.computed(sequence) : sequence.computed;
      if (!make_room(sequence, blocks_for(computed + chunk) - held(sequence), plan)) break;
      if (decoding) {
        if (decodes_.needs_block(sequence)) grow_decode(sequence);
        --budget_;
      } else {
        compute_chunk(sequence, chunk, plan);
      }
    }
  }

  void delay(Sequence& sequence) {
    decodes_.remove(sequence);
    delayed_.push_back(&sequence);
  }

  // Preempts the newest running request until `blocks` are free. False when `sequence` itself had
  // to go; everybody after it has gone too. It does not go when nobody else runs, or it and those
  // that are loaded meanwhile could drive each other out for ever: they give their blocks back, and
  // it waits for blocks that copies are using.
  bool make_room(Sequence& sequence, std::int64_t blocks, StepPlan& plan) {
    while (blocks > pool_.free()) {
      Sequence* victim = pick_victim();
      KV_CHECK(victim != nullptr, "request {} needs {} blocks", sequence.request.id, blocks);
      if (running_.size() == 1 && connector_ != nullptr) {
        if (take_back(waiting_.front())) continue;
        if (sequence.state == Sequence::State::kDecode) delay(sequence);
        stalled_ = true;
        return false;
      }
      preempt(*victim, plan);
      if (victim == &sequence) return false;
    }
    return true;
  }

  Sequence* pick_victim() const {
    Sequence* victim = nullptr;
    for (auto at = running_.rbegin(); at != running_.rend(); ++at) {
      Sequence* candidate = *at;
      if (candidate->state == Sequence::State::kCompleting) continue;
      if (!limits_.by_priority) return candidate;
      if (victim == nullptr || candidate->request.priority > victim->request.priority ||
          (candidate->request.priority == victim->request.priority &&
           candidate->received > victim->received))
        victim = candidate;
    }
    return victim;
  }

  void preempt(Sequence& victim, StepPlan& plan) {
    const auto at = std::find(running_.begin(), running_.end(), &victim);
    // By priority the victim may already have been planned in this step.
    const bool planned = static_cast<std::size_t>(at - running_.begin()) < cursor_;
    if (planned) --cursor_;
    running_.erase(at);
    if (victim.state == Sequence::State::kDecode) {
      if (std::erase(delayed_, &victim) == 0) decodes_.remove(victim);
      if (planned) ++budget_;
    } else {
      std::erase(prefills_, &victim);
      if (planned) take_out_chunk(victim, plan);
    }
    publish_hashes(victim, victim.computed / limits_.block_tokens);
    ++victim.record.preemptions;
    victim.last_token = now_;
    victim.lost = victim.computed;
    victim.preempted = true;
    start_over(victim);
    waiting_.push_front(victim);
    preempted_ = true;
    blocked_ = false;
  }

  void take_out_chunk(Sequence& victim, StepPlan& plan) {
    count_chunk(plan.shape, victim.chunk_from, victim.computed, window_, -1);
    budget_ += victim.computed - victim.chunk_from;
    victim.computed = victim.chunk_from;
    if (std::erase(plan.tokens_from_prefill, &victim) > 0) --plan.shape.sampled;
  }

  void start_over(Sequence& sequence) {
    blocks_.release(sequence);
    sequence.computed = 0;
    sequence.looked_up = false;
    sequence.state = Sequence::State::kWaiting;
    if (sequence.first_scheduled < Seconds(0)) sequence.record.hit_tokens = {};
  }

  // --- waiting requests ---

  // False when somebody's admission waits for the connector's answer.
  bool admit(StepPlan& plan) {
    if (blocked_) return true;
    Admission result = kSkip;
    for (Sequence* sequence = waiting_.front(); sequence != nullptr;) {
      if (budget_ == 0) return true;
      if (running() >= limits_.max_sequences) result = kStop;
      if (result == kStop) break;
      Sequence* next = sequence->next;
      result = sequence->state == Sequence::State::kLoading ? kSkip : try_admit(*sequence, plan);
      if (result == kNoBudget) return true;
      if (result == kPause) return false;
      if (result == kStop && running_.empty() && take_back(sequence->next)) {
        result = kSkip;
        continue;
      }
      sequence = next;
    }
    blocked_ = true;  // until something arrives, ends or is loaded
    stopped_ = result == kStop;
    return true;
  }

  // The next who waits with its KV loaded gives its blocks back: nothing else that could run fits
  // beside it.
  bool take_back(Sequence* from) {
    for (Sequence* other = from; other != nullptr; other = other->next) {
      if (other->state != Sequence::State::kWaiting || other->blocks.empty()) continue;
      start_over(*other);
      return true;
    }
    return false;
  }

  enum Admission { kAdmitted, kSkip, kStop, kNoBudget, kPause };

  Admission try_admit(Sequence& sequence, StepPlan& plan) {
    std::int64_t hit = sequence.computed;
    std::int64_t hit_blocks = held(sequence);
    Connector::Match external;
    if (!sequence.looked_up) {
      hit_blocks = limits_.prefix_caching ? pool_.match(hittable(sequence)) : 0;
      hit = hit_blocks * limits_.block_tokens;
      if (connector_ != nullptr) external = connector_->match(sequence, hit, sequence.known());
      if (external.ask_again) return external.pause ? kPause : kSkip;
    }
    const std::int64_t start = hit + external.tokens;
    const bool waits = external.tokens > 0 && !external.in_step;
    std::int64_t chunk = waits ? 0 : chunk_to_admit(sequence.known() - start);
    if (!waits && chunk == 0) return kNoBudget;

    const std::int64_t needed = blocks_for(start + chunk) - hit_blocks;
    if (!has_room(sequence, hit_blocks, needed, waits)) return kStop;

    if (!sequence.looked_up) take_hits(sequence, hit_blocks);
    sequence.computed = start;
    if (external.tokens > 0) {
      for (std::size_t tier = 0; tier < kLowerTiers; ++tier)
        if (sequence.first_scheduled < Seconds(0))
          sequence.record.hit_tokens[tier + 1] += external.by_tier[tier];
      allocate(sequence, blocks_for(start) - hit_blocks);
      sequence.load_to = start;
      if (waits) {
        sequence.state = Sequence::State::kLoading;
        sequence.load_began = now_;
      } else {
        plan.loads.push_back(&sequence);
      }
      // It may end at once, when a tier has failed since it was asked.
      connector_->load(sequence, hit, start, decodes_.step());
    }
    if (waits) return kSkip;
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
    recomputed_ += std::max<std::int64_t>(0, sequence.lost - start);
    sequence.lost = 0;
    compute_chunk(sequence, chunk, plan);
    return kAdmitted;
  }

  // Whole blocks that may be hit: at least the last known token is always computed.
  std::span<const BlockHash> hittable(const Sequence& sequence) const {
    const std::int64_t blocks = (sequence.known() - 1) / limits_.block_tokens;
    return std::span(sequence.hashes).first(static_cast<std::size_t>(blocks));
  }

  std::int64_t chunk_to_admit(std::int64_t tokens) const {
    if (limits_.long_prefill_threshold > 0)
      tokens = std::min(tokens, limits_.long_prefill_threshold);
    if (!limits_.chunked_prefill && tokens > budget_) return 0;
    return std::min(tokens, budget_);
  }

  bool has_room(const Sequence& sequence, std::int64_t hit_blocks, std::int64_t needed,
                bool loads) const {
    std::int64_t free = pool_.free();
    if (!sequence.looked_up)
      free -= pool_.unreferenced(
          std::span(sequence.hashes).first(static_cast<std::size_t>(hit_blocks)));
    if (!running_.empty())
      free -= static_cast<std::int64_t>(limits_.watermark * static_cast<double>(pool_.total()));
    if (loads)  // a load must leave room for what prompts in progress still need
      for (const Sequence* prefill : prefills_)
        free -= blocks_for(prefill->known()) - held(*prefill);
    if (limits_.reserve_whole_prompt)
      needed = std::max(needed, blocks_for(sequence.known()) - hit_blocks);
    return needed <= free;
  }

  void take_hits(Sequence& sequence, std::int64_t hit_blocks) {
    pool_.share(std::span(sequence.hashes).first(static_cast<std::size_t>(hit_blocks)),
                sequence.blocks);
    sequence.hashed = hit_blocks;
    sequence.looked_up = true;
    // Hits when it comes back after a preemption are not the cache's merit.
    if (sequence.first_scheduled < Seconds(0))
      sequence.record.hit_tokens[0] += hit_blocks * limits_.block_tokens;
  }

  // Those that ended in the plan before this one are still in this one.
  void waste(StepPlan& plan) {
    plan.wasted = static_cast<std::int32_t>(ended_before_);
    plan.shape.decode_sequences += plan.wasted;
    plan.shape.sampled += plan.wasted;
    plan.shape.decode_context += ended_context_;
    if (window_ > 0)
      plan.shape.decode_window_context += std::min(ended_context_, window_ * ended_before_);
  }

  // --- computing ---

  void compute_chunk(Sequence& sequence, std::int64_t chunk, StepPlan& plan) {
    const std::int64_t before = sequence.computed;
    const std::int64_t after = before + chunk;
    allocate(sequence, blocks_for(after) - held(sequence));
    sequence.chunk_from = before;
    sequence.computed = after;
    budget_ -= chunk;
    count_chunk(plan.shape, before, after, window_);
    publish_hashes(sequence, after / limits_.block_tokens);
    if (after == sequence.known()) {
      ++plan.shape.sampled;
      plan.tokens_from_prefill.push_back(&sequence);
    }
  }

  // Those whose prompt is complete produce a token in this step and decode from the next one on.
  void start_decoding(StepPlan& plan) {
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

  // A decode starts a new block; the one before it is full.
  void grow_decode(Sequence& sequence) {
    publish_hashes(sequence, held(sequence));
    allocate(sequence, 1);
  }

  void publish_hashes(Sequence& sequence, std::int64_t full) {
    blocks_.publish(sequence, full, decodes_.step());
  }
  void allocate(Sequence& sequence, std::int64_t blocks) {
    blocks_.allocate(sequence, blocks, decodes_.step());
  }

  EngineLimits limits_;
  BlockPool& pool_;
  Connector* connector_;
  std::int64_t window_;
  SequenceBlocks blocks_;
  DecodeSet decodes_;
  WaitingQueue waiting_;
  std::vector<Sequence*> running_;   // admission order
  std::vector<Sequence*> prefills_;  // those of running_ with more than one token to compute
  std::vector<Sequence*> delayed_;   // decodes that found no budget in this step
  std::vector<Sequence*> unexpected_;
  std::int64_t budget_ = 0;
  std::int64_t next_order_ = 0;
  std::int64_t recomputed_ = 0;
  std::size_t cursor_ = 0;  // in running_, while it is walked
  Seconds now_{0};
  bool preempted_ = false;
  bool stalled_ = false;            // the only running request waits for blocks
  std::int64_t ended_before_ = 0;   // sequences that end in the plan before
  std::int64_t ended_context_ = 0;  // KV tokens that they read
  bool blocked_ = false;            // nobody waiting can be admitted until something changes
  bool stopped_ = false;            // ... because one of them stopped the queue
};

const Register<Scheduler, VllmScheduler> kRegistered("vllm",
                                                     "vLLM V1: running first, then waiting");

}  // namespace
}  // namespace kvsim
