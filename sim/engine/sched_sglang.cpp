// SGLang's scheduler (spec/sglang_trtllm.md section 1; order of decisions as in its PrefillAdder
// and update_running_batch): prompts first. While a waiting request fits, the next step computes
// prompts only and the running decodes pause, unless enable_mixed_chunk puts them into the same
// step. At most one prompt is split, by the chunk size; its rest goes first.
//
// Admission guesses at what is still to come: a running request reserves its remaining answer, at
// most 4,096 tokens, times a ratio that decays with each decode step. Once a request does not fit,
// nobody is tried until a running one has ended ("batch is full"). When the guess was wrong and
// decodes run out of memory, those with the shortest answers are retracted to the queue's tail and
// the ratio is raised.
//
// Prefixes become hittable when their step has ended, answers when their request ends, so requests
// of one step never share; under lpm a request that shares 32 tokens or more with one before it in
// the queue, and fewer than 32 with the cache, goes behind the others.
//
// Left out: eviction by leaves of a tree (the pool's queue evicts tails first, which is nearly
// that); dfs-weight and random order; priority preemption; speculative decoding; data-parallel
// attention. The chunk size by GPU memory is for the configuration to set. A request is admitted
// when it exactly fills what is free, where the original wants a token to spare, and a decode alone
// in a full pool waits for copies under way instead of failing. The step that gave way is charged
// to nobody else.
#include <algorithm>
#include <limits>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/block_scheduler.hpp"

namespace kvsim {
namespace {

class SglangScheduler final : public BlockScheduler {
 public:
  struct Options {
    std::int64_t chunked_prefill_tokens = 0;
    std::int64_t max_prefill_tokens = 16384;
    bool mixed_chunk = false;
    std::string policy = "fcfs";
    double conservativeness = 1;

    template <class F>
    void fields(F& f) {
      f.optional("chunked_prefill_size_tokens", chunked_prefill_tokens, Range{0, 1e9},
                 "Longest part of prompts that a step computes; 0 = max_num_batched_tokens.");
      f.optional("max_prefill_tokens", max_prefill_tokens, Range{1, 1e9},
                 "Prompt tokens of a step; one longer prompt may still come alone.");
      f.optional("enable_mixed_chunk", mixed_chunk, "Decodes run beside prompts.");
      f.choice("schedule_policy", policy, {"fcfs", "lpm", "lof"},
               "First come first served, longest prefix match first, longest answer first.");
      f.optional("schedule_conservativeness", conservativeness, Range{0, 1e3},
                 "Factor on the share of unwritten answers that admission reserves.");
    }
  };

  SglangScheduler(const Options& options, const Context& context)
      : BlockScheduler(context),
        options_(options),
        ratio_at_start_(std::min(1.0, kFirstRatio * options.conservativeness)),
        ratio_(ratio_at_start_) {
    if (options_.chunked_prefill_tokens == 0)
      options_.chunked_prefill_tokens = limits_.max_batched_tokens;
    // Chunks end on block boundaries.
    if (options_.chunked_prefill_tokens < limits_.block_tokens)
      options_.chunked_prefill_tokens = limits_.block_tokens;
    if (!limits_.chunked_prefill)
      options_.chunked_prefill_tokens = std::numeric_limits<std::int64_t>::max() / 2;
  }

  bool can_compute(const Request&) const override { return true; }

  bool plan(StepPlan& plan, Seconds now) override {
    begin(plan, now);
    if (running_.empty() && waiting_.size() == 0) set_ratio(ratio_at_start_);
    begin_prefill(plan);
    return resume(plan, now);
  }

  bool resume(StepPlan& plan, Seconds now) override {
    now_ = now;
    for (;;) {
      if (!admit(plan)) return false;
      const bool prefills = plan.shape.prefill_sequences > 0;
      if (!prefills || mixes()) {
        const bool decodes = make_room();
        // A last decode that gave way has made room for the prompt in progress.
        if (!prefills && decodes_.size() == 0 && retracted_) {
          retracted_ = false;
          begin_prefill(plan);
          continue;
        }
        if (decodes) grow_decodes();
        complete(plan, decodes);
      } else {
        complete(plan, false);
      }
      retracted_ = false;
      return true;
    }
  }

  std::int64_t steady_plans() override { return steady_decodes(); }

 private:
  // Python's global_config of SGLang; the share of the first ratio: spec.
  static constexpr double kFirstRatio = 0.7;
  static constexpr double kLeastRatio = 0.14;
  static constexpr double kRatioSteps = 600;
  static constexpr std::int64_t kRetractSteps = 20;
  static constexpr std::int64_t kAnswerClip = 4096;
  static constexpr std::int64_t kLpmQueue = 128;
  static constexpr std::int64_t kSharedTokens = 32;

  bool publishes_decodes() const override { return false; }
  void decoded() override { ++ratio_steps_; }

  // --- the share of unwritten answers that is reserved ---

  void set_ratio(double ratio) {
    ratio_ = ratio;
    ratio_steps_ = 0;
  }
  double ratio() const {
    const double least = ratio_at_start_ * kLeastRatio;
    const double decay = (ratio_at_start_ - least) / kRatioSteps;
    return std::max(least, ratio_ - decay * static_cast<double>(ratio_steps_));
  }
  static std::int64_t clipped(std::int64_t tokens) { return std::min(tokens, kAnswerClip); }
  std::int64_t reserved_by_running() const {
    std::int64_t tokens = 0;
    for (const Sequence* sequence : running_)
      if (sequence->state == Sequence::State::kDecode) tokens += clipped(remaining(*sequence));
    return static_cast<std::int64_t>(static_cast<double>(tokens) * ratio());
  }

  // --- prompts ---

  bool mixes() const { return options_.mixed_chunk; }
  std::int64_t free_blocks() const {
    return pool_.free() - (mixes() ? decodes_.crossing_count() : 0);
  }

  void begin_prefill(StepPlan& plan) {
    const std::int64_t beside = mixes() ? decodes_.size() : 0;
    input_left_ = options_.max_prefill_tokens - beside;
    chunk_left_ = options_.chunked_prefill_tokens - beside;
    reserved_ = -1;
    if (!prefills_.empty()) go_on(*prefills_.front(), plan);
  }

  // The prompt that was split in an earlier step.
  void go_on(Sequence& sequence, StepPlan& plan) {
    while (room_for(sequence) <= 0 && decodes_.size() == 0 && take_back(nullptr)) {
    }
    const std::int64_t rest = sequence.known() - sequence.computed;
    const std::int64_t chunk =
        std::min({rest, std::max<std::int64_t>(chunk_left_, 1), room_for(sequence)});
    if (chunk <= 0) {
      chunk_left_ = 0;
      return;
    }
    reserve();
    compute(sequence, chunk, plan);
    if (chunk == rest) reserved_ += clipped(remaining(sequence));
    if (chunk < rest) chunk_left_ = 0;  // nobody else is split beside it
  }

  // Tokens for which it has blocks or finds free ones.
  std::int64_t room_for(const Sequence& sequence) const {
    const std::int64_t blocks = held(sequence) + std::max<std::int64_t>(0, free_blocks());
    return blocks * limits_.block_tokens - sequence.computed;
  }

  void compute(Sequence& sequence, std::int64_t chunk, StepPlan& plan) {
    compute_chunk(sequence, chunk, plan);
    const std::int64_t whole = blocks_for(chunk) * limits_.block_tokens;
    input_left_ -= whole;
    chunk_left_ -= whole;
  }

  void reserve() {
    if (reserved_ < 0) reserved_ = reserved_by_running();
  }

  // False when somebody's admission waits for the connector's answer.
  bool admit(StepPlan& plan) {
    if (blocked_ || waiting_.front() == nullptr) return true;
    reserve();
    const bool sorted = sort_waiting();
    std::size_t place = 0;
    for (Sequence* sequence = sorted ? order_.front() : waiting_.front(); sequence != nullptr;) {
      if (input_left_ <= 0 || chunk_left_ <= 0) return true;
      if (running() >= limits_.max_sequences) return fill_up();
      ++place;
      Sequence* next = sorted ? (place < order_.size() ? order_[place] : nullptr) : sequence->next;
      if (sequence->state != Sequence::State::kLoading) {
        const Admission result = try_admit(*sequence, plan);
        if (result == kPause) return false;
        if (result == kNoBudget) return true;
        if (result == kStop) {
          if (!running_.empty() || !take_back(sequence)) return fill_up();
          --place;
          continue;
        }
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

  Admission try_admit(Sequence& sequence, StepPlan& plan) {
    const Found found = look_up(sequence);
    if (found.external.ask_again) return found.external.pause ? kPause : kSkip;
    const std::int64_t rest = sequence.known() - found.start;
    const std::int64_t free = free_blocks() - taken_by_hits(sequence, found);
    const std::int64_t answer = clipped(remaining(sequence));
    const std::int64_t needed = blocks_for(sequence.known() + answer) - found.blocks;
    if (needed > free - groups_of(reserved_, limits_.block_tokens)) return kStop;
    if (found.waits()) {
      if (!has_room_for_load(free, found)) return kStop;
      take(sequence, found, plan);
      return kSkip;
    }
    const std::int64_t whole = blocks_for(rest) * limits_.block_tokens;
    if (whole >= input_left_ && plan.shape.prefill_sequences > 0) return kNoBudget;
    std::int64_t chunk = rest;
    if (whole > chunk_left_) {
      chunk = std::min(rest, chunk_left_ / limits_.block_tokens * limits_.block_tokens);
      if (chunk == 0) return kNoBudget;
    }
    if (blocks_for(found.start + chunk) - found.blocks > free) return kStop;
    take(sequence, found, plan);
    start(sequence);
    compute(sequence, chunk, plan);
    if (chunk == rest) reserved_ += answer;
    if (chunk < rest) chunk_left_ = 0;
    return kAdmitted;
  }

  // A load must leave room for what the prompt in progress still needs.
  bool has_room_for_load(std::int64_t free, const Found& found) const {
    for (const Sequence* prefill : prefills_) free -= blocks_for(prefill->known()) - held(*prefill);
    return blocks_for(found.start) - found.blocks <= free;
  }

  // --- order of the queue ---

  bool sort_waiting() {
    if (limits_.by_priority || options_.policy == "fcfs") return false;
    const bool by_match = options_.policy == "lpm";
    if (by_match && waiting_.size() > kLpmQueue) return false;
    order_.clear();
    keys_.clear();
    shared_.clear();
    for (Sequence* sequence = waiting_.front(); sequence != nullptr; sequence = sequence->next) {
      keys_.push_back({by_match ? match_of(*sequence) : remaining(*sequence), sequence});
    }
    std::stable_sort(keys_.begin(), keys_.end(),
                     [](const Key& a, const Key& b) { return a.most > b.most; });
    for (const Key& key : keys_) order_.push_back(key.sequence);
    return true;
  }

  // Tokens in the cache; -1 for one that had better wait for another's prefix.
  std::int64_t match_of(const Sequence& sequence) {
    if (sequence.looked_up) return sequence.computed;
    const auto most = static_cast<std::size_t>((sequence.known() - 1) / limits_.block_tokens);
    const auto hashes = std::span(sequence.hashes).first(std::min(most, sequence.hashes.size()));
    const std::int64_t tokens = pool_.match(hashes) * limits_.block_tokens;
    if (tokens > kSharedTokens || !limits_.prefix_caching) return tokens;
    // The chain hash of the block that ends at 32 tokens stands for all before it.
    const auto block = static_cast<std::size_t>(blocks_for(kSharedTokens)) - 1;
    if (block >= hashes.size()) return tokens;
    if (std::find(shared_.begin(), shared_.end(), hashes[block]) != shared_.end()) return -1;
    shared_.push_back(hashes[block]);
    return tokens;
  }

  // --- decodes ---

  // Blocks for the next step's decodes, by retracting some. False when none can decode now.
  bool make_room() {
    const std::int64_t before = decodes_.size();
    while (decodes_.crossing_count() > pool_.free()) {
      if (decodes_.size() == 1 && prefills_.empty()) {
        if (take_back(nullptr)) continue;
        return false;
      }
      Sequence& victim = *pick_victim();
      preempt(victim);
      waiting_.push_back(victim);
      retracted_ = true;
    }
    if (decodes_.size() < before) raise_ratio();
    return true;
  }

  // Fewest answer tokens; among equals the longest prompt, then the newest.
  Sequence* pick_victim() const {
    Sequence* victim = nullptr;
    std::int64_t fewest = 0;
    for (Sequence* candidate : running_) {
      if (candidate->state != Sequence::State::kDecode) continue;
      const std::int64_t answer = produced(*candidate);
      if (victim == nullptr || answer < fewest ||
          (answer == fewest && candidate->prompt_tokens >= victim->prompt_tokens)) {
        victim = candidate;
        fewest = answer;
      }
    }
    KV_CHECK(victim != nullptr);
    return victim;
  }

  void raise_ratio() {
    std::int64_t decoded = kRetractSteps * decodes_.size();
    std::int64_t most = 0;
    for (const Sequence* sequence : running_) {
      if (sequence->state != Sequence::State::kDecode) continue;
      decoded += produced(*sequence);
      most += sequence->request.output.count();
    }
    if (most > 0)
      set_ratio(std::min(1.0, static_cast<double>(decoded) / static_cast<double>(most)));
  }

  struct Key {
    std::int64_t most;
    Sequence* sequence;
  };

  Options options_;
  double ratio_at_start_;
  double ratio_;
  std::int64_t ratio_steps_ = 0;  // decode steps since ratio_ was set
  std::int64_t input_left_ = 0;   // prompt tokens that this step may still take
  std::int64_t chunk_left_ = 0;
  std::int64_t reserved_ = -1;  // tokens of answers, in this step; -1 = not counted yet
  bool retracted_ = false;
  std::vector<Sequence*> order_;
  std::vector<Key> keys_;
  std::vector<BlockHash> shared_;  // prefixes of the waiting that are not in the cache
};

const Register<Scheduler, SglangScheduler> kRegistered(
    "sglang", "SGLang: prompts first, answers reserved by a ratio, retraction");

}  // namespace
}  // namespace kvsim
