// TensorRT-LLM's scheduling loop (spec/sglang_trtllm.md section 5): a capacity policy decides who
// may hold KV, then a step takes every decode and as many prompts as max_num_tokens leaves room
// for, whole unless chunking is on.
//
//   guaranteed_no_evict  a request starts when blocks to its last token are sure; nobody is paused
//   max_utilization      ... when blocks for its prompt are free; the newest is paused when decodes
//                        run out, its blocks stay reusable, and it goes back to the queue's front
//   static_batch         as the first, but nobody joins until the whole batch has ended
//
// A prompt takes its blocks at its start. Blocks become reusable when the step that fills them has
// ended; a request whose first new block is being computed for another one is passed over until
// then. The batch's longest answer is what the client asks for at most, which is known.
//
// Left out: reuse of a part of a block (it copies; a hit here ends with a whole block); eviction by
// priority and by leaves only; beam search; draft tokens; attention data parallelism. Requests in
// the same step as a longer prompt that found no room do not reserve memory meanwhile.
#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/block_scheduler.hpp"

namespace kvsim {
namespace {

class TrtllmScheduler final : public BlockScheduler {
 public:
  struct Options {
    std::string capacity = "guaranteed_no_evict";
    std::string chunking = "first_come_first_served";

    template <class F>
    void fields(F& f) {
      f.choice("capacity_policy", capacity,
               {"guaranteed_no_evict", "max_utilization", "static_batch"},
               "Who may start: with its whole length, its prompt, or an empty engine.");
      f.choice("context_chunking_policy", chunking, {"first_come_first_served", "equal_progress"},
               "With chunked prefill: the first prompts take all, or all advance alike.");
    }
  };

  TrtllmScheduler(const Options& options, const Context& context)
      : BlockScheduler(context),
        pauses_(options.capacity == "max_utilization"),
        static_(options.capacity == "static_batch"),
        equal_(options.chunking == "equal_progress" && limits_.chunked_prefill),
        // A chunk ends with a block.
        unit_(std::min(limits_.block_tokens, limits_.max_batched_tokens)) {
    // Every decode has its token of each step.
    limits_.max_sequences = std::min(limits_.max_sequences, limits_.max_batched_tokens);
  }

  bool can_compute(const Request& request) const override {
    if (limits_.chunked_prefill) return true;
    // A paused request computes its answer so far again, in one step with the prompt.
    const std::int64_t longest =
        request.input.count() + (pauses_ ? request.output.count() : std::int64_t{0});
    return longest <= limits_.max_batched_tokens;
  }

  bool plan(StepPlan& plan, Seconds now) override {
    begin(plan, now);
    paused_ = false;
    open_batch_ = !static_ || running_.empty();
    if (!open_batch_) fill_up();
    decoding_ = make_room();
    budget_ = limits_.max_batched_tokens - decodes_.size();
    for (const Sequence* prefill : prefills_)
      if (!equal_) budget_ -= next_chunk(*prefill, budget_);
    return resume(plan, now);
  }

  bool resume(StepPlan& plan, Seconds now) override {
    now_ = now;
    // Nobody starts beside a pause, unless nothing else is left to run.
    if (open_batch_ && (!paused_ || running_.empty()) && !admit(plan)) return false;
    if (decoding_) grow_decodes();
    compute_prompts(plan);
    complete(plan, decoding_);
    return true;
  }

  void step_ended(std::int64_t step) override {
    BlockScheduler::step_ended(step);
    if (!deferred_) return;
    deferred_ = blocked_ = false;
  }

  std::int64_t steady_plans() override { return deferred_ ? 0 : steady_decodes(); }

 private:
  bool publishes_decodes() const override { return true; }

  // --- capacity ---

  // Blocks for the decodes of this step, by pausing the newest. False when they must wait.
  bool make_room() {
    while (decodes_.crossing_count() > pool_.free()) {
      Sequence* victim = newest();
      KV_CHECK(pauses_ || connector_ != nullptr, "{} decodes need blocks that were guaranteed",
               decodes_.size());
      const bool alone = decodes_.size() + static_cast<std::int64_t>(prefills_.size()) == 1;
      if (!pauses_ || alone) {
        if (take_back(nullptr)) continue;
        return false;
      }
      blocks_.publish(*victim, stored(*victim), step_);
      preempt(*victim);
      waiting_.push_front(*victim);
      paused_ = true;
    }
    return true;
  }

  // Full blocks whose content is there when it pauses.
  std::int64_t stored(const Sequence& victim) const {
    for (const Pending& pending : pending_)
      if (pending.sequence == &victim) return victim.hashed;
    const bool decodes = victim.state == Sequence::State::kDecode;
    return (decodes ? decodes_.computed(victim) : victim.computed) / limits_.block_tokens;
  }

  Sequence* newest() const {
    for (auto at = running_.rbegin(); at != running_.rend(); ++at)
      if ((*at)->state != Sequence::State::kCompleting) return *at;
    return nullptr;
  }

  // Blocks that those who have started are sure to get.
  std::int64_t reserved() const {
    std::int64_t blocks = 0;
    for (const Sequence* sequence : running_) blocks += final_blocks(*sequence) - held(*sequence);
    for (const Sequence* other = waiting_.front(); other != nullptr; other = other->next)
      if (!other->blocks.empty()) blocks += final_blocks(*other) - held(*other);
    return blocks;
  }

  // --- who starts ---

  // False when somebody's admission waits for the connector's answer.
  bool admit(StepPlan& plan) {
    if (blocked_) return true;
    reserved_ = pauses_ ? 0 : reserved();
    for (Sequence* sequence = waiting_.front(); sequence != nullptr;) {
      if (running() >= limits_.max_sequences) return fill_up();
      if (budget_ <= 0) return wait_for_budget();
      Sequence* next = sequence->next;
      const Admission result =
          sequence->state == Sequence::State::kLoading ? kSkip : try_admit(*sequence, plan);
      if (result == kPause) return false;
      if (result == kNoBudget) return wait_for_budget();
      if (result == kStop) {
        if (running_.empty() && take_back(sequence)) {
          reserved_ = pauses_ ? 0 : reserved();
          continue;
        }
        return fill_up();
      }
      sequence = next;
    }
    blocked_ = true;  // until something arrives, ends or is loaded
    return true;
  }

  bool fill_up() {
    blocked_ = full_ = true;
    return true;
  }
  // Without prompts in progress the budget is what decodes leave of it.
  bool wait_for_budget() { return prefills_.empty() ? fill_up() : true; }

  Admission try_admit(Sequence& sequence, StepPlan& plan) {
    const Found found = look_up(sequence);
    if (found.external.ask_again) return found.external.pause ? kPause : kSkip;
    if (found.external.tokens == 0 && is_being_computed(sequence, found)) {
      deferred_ = true;
      return kSkip;
    }
    std::int64_t chunk = sequence.known() - found.start;
    if (!limits_.chunked_prefill && !found.waits() && chunk > budget_) return kNoBudget;
    if (limits_.chunked_prefill && !equal_ && !found.waits()) {
      chunk = chunk_within(chunk, budget_);
      if (chunk == 0) return kNoBudget;
    }
    // One that comes back from a load has the blocks and, if so, the guarantee.
    if (!sequence.looked_up && !has_room(sequence, found)) return kStop;
    const bool first = !sequence.looked_up;
    const bool waits = take(sequence, found, plan);
    const std::int64_t more = blocks_for(sequence.known()) - held(sequence);
    blocks_.allocate(sequence, more, step_);
    if (first && !pauses_) reserved_ += final_blocks(sequence) - held(sequence);
    if (waits) return kSkip;
    start(sequence);
    if (!equal_) budget_ -= chunk;
    return kAdmitted;
  }

  bool has_room(const Sequence& sequence, const Found& found) const {
    const std::int64_t free = pool_.free() - taken_by_hits(sequence, found);
    const std::int64_t blocks = pauses_ ? blocks_for(sequence.known()) : final_blocks(sequence);
    // While others decode, each of them may need a block in this step.
    const std::int64_t others = pauses_ ? decodes_.crossing_count() : reserved_;
    return blocks - found.blocks <= free - others;
  }

  // Its first new block is a part of somebody's prompt that is not complete yet.
  bool is_being_computed(const Sequence& sequence, const Found& found) const {
    if (!limits_.prefix_caching || sequence.looked_up) return false;
    const auto block = static_cast<std::size_t>(found.blocks);
    const auto most = static_cast<std::size_t>((sequence.known() - 1) / limits_.block_tokens);
    if (block >= most) return false;
    const auto computes = [&](const Sequence& other) {
      return block < other.hashes.size() && other.hashed <= found.blocks &&
             static_cast<std::int64_t>(block) < other.known() / limits_.block_tokens &&
             other.hashes[block] == sequence.hashes[block];
    };
    for (const Pending& pending : pending_)
      if (computes(*pending.sequence)) return true;
    for (const Sequence* prefill : prefills_)
      if (computes(*prefill)) return true;
    return false;
  }

  // --- prompts of this step ---

  std::int64_t chunk_within(std::int64_t rest, std::int64_t budget) const {
    return rest <= budget ? rest : std::max<std::int64_t>(0, budget / unit_ * unit_);
  }
  std::int64_t next_chunk(const Sequence& sequence, std::int64_t budget) const {
    return chunk_within(sequence.known() - sequence.computed, budget);
  }

  void compute_prompts(StepPlan& plan) {
    std::int64_t budget = limits_.max_batched_tokens - decodes_.size();
    chunks_.assign(prefills_.size(), 0);
    if (equal_) {
      share_alike(budget);
    } else {
      for (std::size_t i = 0; i < prefills_.size(); ++i)
        budget -= chunks_[i] = next_chunk(*prefills_[i], budget);
    }
    for (std::size_t i = 0; i < prefills_.size(); ++i)
      if (chunks_[i] > 0) compute_chunk(*prefills_[i], chunks_[i], plan);
  }

  // A block for each prompt in turn, until the budget is spent.
  void share_alike(std::int64_t budget) {
    for (bool advances = true; advances;) {
      advances = false;
      for (std::size_t i = 0; i < prefills_.size(); ++i) {
        const Sequence& sequence = *prefills_[i];
        const std::int64_t rest = sequence.known() - sequence.computed - chunks_[i];
        const std::int64_t chunk = std::min(unit_, rest);
        if (chunk == 0 || chunk > budget) continue;
        chunks_[i] += chunk;
        budget -= chunk;
        advances = true;
      }
    }
  }

  bool pauses_;
  bool static_;
  bool equal_;
  std::int64_t unit_;
  std::int64_t budget_ = 0;    // prompt tokens left in this step
  std::int64_t reserved_ = 0;  // blocks guaranteed to others
  bool paused_ = false;        // somebody was, in this step
  bool decoding_ = false;
  bool open_batch_ = false;
  bool deferred_ = false;  // somebody waits for a prefix that is being computed
  std::vector<std::int64_t> chunks_;
};

const Register<Scheduler, TrtllmScheduler> kRegistered(
    "tensorrt-llm", "TensorRT-LLM: memory to the last token guaranteed, whole prompts in flight");

}  // namespace
}  // namespace kvsim
