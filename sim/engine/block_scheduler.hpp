// What schedulers with a waiting queue, chunks of prompts and decodes have in common: where their
// requests are, what they hold, how hits and loads are taken. A scheduler derives from it and
// decides who computes in the next step.
//
// Content becomes hittable when the step that computes it has ended, as in radix caches that are
// filled from results; vLLM's scheduler, which caches blocks as it plans them, stands alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/decode_set.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/engine/sequence_blocks.hpp"
#include "sim/engine/waiting_queue.hpp"

namespace kvsim {

class BlockScheduler : public Scheduler {
 public:
  explicit BlockScheduler(const Context& context);

  void add(Sequence& sequence) override;
  void plan_steady(StepShape& shape, Seconds now) override;
  void step_ended(std::int64_t step) override;
  void end(Sequence& sequence) override;
  void loaded(Sequence& sequence, std::int64_t tokens) override;
  void unblock() override { open(); }
  [[nodiscard]] std::int64_t running() const override {
    return static_cast<std::int64_t>(running_.size());
  }
  [[nodiscard]] std::int64_t waiting() const override { return waiting_.size(); }
  [[nodiscard]] std::int64_t produced(const Sequence& sequence) const override;
  [[nodiscard]] std::int64_t recomputed() const override { return recomputed_; }

 protected:
  // What an attempt to admit came to. kStop: nobody behind is looked at either, until something
  // ends; kNoBudget: until the next step; kPause: the connector must answer first.
  enum Admission { kAdmitted, kSkip, kStop, kNoBudget, kPause };
  // What the caches hold for a waiting sequence.
  struct Found {
    std::int64_t blocks = 0;  // in HBM: hits, or its own when it comes back from a load
    std::int64_t start = 0;   // tokens with KV once it is admitted
    Connector::Match external;
    [[nodiscard]] bool waits() const { return external.tokens > 0 && !external.in_step; }
  };

  [[nodiscard]] static std::int64_t held(const Sequence& sequence) {
    return SequenceBlocks::held(sequence);
  }
  [[nodiscard]] std::int64_t blocks_for(std::int64_t tokens) const {
    return groups_of(tokens, limits_.block_tokens);
  }
  // Answer tokens still to be planned.
  [[nodiscard]] std::int64_t remaining(const Sequence& sequence) const {
    return sequence.request.output.count() - produced(sequence);
  }
  // Blocks it holds when its last token comes: that token's own KV is never computed.
  [[nodiscard]] std::int64_t final_blocks(const Sequence& sequence) const {
    return blocks_for(sequence.prompt_tokens + sequence.request.output.count());
  }

  void begin(StepPlan& plan, Seconds now);
  // The step as planned so far is what will run: decodes that compute advance, prompts that are
  // complete decode from the next step on.
  void complete(StepPlan& plan, bool decodes_compute);

  // Who is held back by nothing but `blocked_`.
  void open() { blocked_ = full_ = false; }
  [[nodiscard]] Found look_up(const Sequence& sequence);
  // Free blocks that taking these hits uses up.
  [[nodiscard]] std::int64_t taken_by_hits(const Sequence& sequence, const Found& found) const;
  // Takes hits and what a load needs. True: it waits for that load, outside the batch.
  bool take(Sequence& sequence, const Found& found, StepPlan& plan);
  // A waiting sequence joins those that run.
  void start(Sequence& sequence);
  void compute_chunk(Sequence& sequence, std::int64_t chunk, StepPlan& plan);
  // Blocks for the decodes of the next step, which are free.
  void grow_decodes();
  // Gives everything back to start over; what has been computed stays hittable only as far as the
  // caller has published it.
  void start_over(Sequence& sequence);
  // A running sequence loses its place. The caller puts it back into the queue.
  void preempt(Sequence& victim);
  // Somebody else who waits with its KV loaded gives its blocks back: nothing else that could run
  // fits beside it.
  bool take_back(const Sequence* except);
  // Plans alike that are sure to follow, as far as blocks and ends allow.
  [[nodiscard]] std::int64_t steady_decodes();
  // Decodes fill blocks: are they hittable and stored at once, or when the answer ends?
  [[nodiscard]] virtual bool publishes_decodes() const = 0;
  virtual void decoded() {}  // a step with decodes has been planned

  EngineLimits limits_;
  BlockPool& pool_;
  Connector* connector_;
  std::int64_t window_;
  SequenceBlocks blocks_;
  DecodeSet decodes_;
  WaitingQueue waiting_;
  std::vector<Sequence*> running_;   // admission order
  std::vector<Sequence*> prefills_;  // those of running_ whose prompt is not complete
  std::int64_t step_ = 0;            // that is planned next
  Seconds now_{0};
  bool blocked_ = false;  // nobody waiting can be admitted until something changes
  bool full_ = false;     // ... and an arrival is no such change

  // Content that a planned step computes: hittable from its end on.
  struct Pending {
    Sequence* sequence;
    std::int64_t blocks;  // leading ones that are full then
    std::int64_t step;
  };
  std::vector<Pending> pending_;

 private:
  void cache(Sequence& sequence, std::int64_t full);
  void waste(StepPlan& plan);
  void start_decoding(StepPlan& plan);
  [[nodiscard]] bool is_pending(const Sequence& sequence) const;
  bool forget_pending(const Sequence& sequence);

  std::vector<Sequence*> unexpected_;
  std::int64_t next_order_ = 0;
  std::int64_t recomputed_ = 0;
  std::int64_t ended_before_ = 0;   // in the plan before, when their last step is wasted
  std::int64_t ended_context_ = 0;  // KV tokens that they read
};

}  // namespace kvsim
