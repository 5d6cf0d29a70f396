// Who computes what in the next step: the part of a serving engine that differs between vLLM,
// SGLang and TensorRT-LLM. A scheduler is a state machine without a clock: `now` is only written
// into records. It plans steps ahead of their execution and hears of their completion.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/sequence.hpp"
#include "sim/kv/block_pool.hpp"
#include "sim/perf/step_time.hpp"

namespace kvsim {

// Limits of an engine, resolved from its version's defaults and the user's options.
struct EngineLimits {
  std::int64_t block_tokens = 16;
  std::int64_t max_batched_tokens = 2048;   // tokens a step may compute
  std::int64_t max_sequences = 256;         // running at once
  std::int64_t long_prefill_threshold = 0;  // cap of one prompt's share of a step; 0 = none
  std::int64_t max_model_len = 0;           // prompt plus answer; 0 = no cap
  bool chunked_prefill = true;
  bool prefix_caching = true;
  bool reserve_whole_prompt = true;  // admit only if the whole prompt's blocks are free now
  double watermark = 0;              // share of blocks kept free when admitting beside others
  // Under asynchronous scheduling an answer that ends by itself (a stop token instead of its length
  // limit) is in one more step, whose token is thrown away.
  bool wasted_last_step = false;
  bool by_priority = false;  // lowest (priority, arrival) first instead of first come
};

// One planned step.
struct StepPlan {
  StepShape shape;
  std::int32_t wasted = 0;  // of the shape's decodes: those whose token nobody gets
  std::int32_t paused = 0;  // decodes that get no token in this step
  std::vector<Sequence*> tokens_from_prefill;  // produce a token without having decoded before it
  std::vector<Sequence*> finishing;            // produce their last token
  std::vector<Sequence*> loads;                // whose KV is loaded as a part of the step
  Seconds connector{0};                        // host time of planning it that a connector took
  // Nothing but decodes, none of which ends: plans that follow may be alike.
  [[nodiscard]] bool steady() const {
    return shape.prefill_sequences == 0 && finishing.empty() && tokens_from_prefill.empty() &&
           wasted == 0;
  }
  [[nodiscard]] bool empty() const {
    return shape.prefill_sequences == 0 && shape.decode_sequences == 0;
  }
  void clear() {
    shape = {};
    wasted = 0;
    paused = 0;
    tokens_from_prefill.clear();
    finishing.clear();
    loads.clear();
    connector = Seconds(0);
  }
};

class Scheduler {
 public:
  static constexpr const char* kPlugin = "scheduler";
  struct Context {
    EngineLimits limits;
    BlockPool& pool;
    Connector* connector = nullptr;  // null: no lower tier
    std::int64_t window = 0;         // sliding window of the LLM, tokens; 0 = none
  };

  virtual ~Scheduler() = default;

  // Can steps be large enough for a request of these lengths? Blocks are the engine's affair.
  [[nodiscard]] virtual bool can_compute(const Request& request) const = 0;
  // A request joins the waiting queue. It must be able to fit: see Engine::fits.
  virtual void add(Sequence& sequence) = 0;
  // Plans the next step; an empty plan means that nothing can run now. False: it waits for the
  // connector's answer, and resume() goes on with the same plan (until then only end() may be
  // called, for a sequence that finishes).
  [[nodiscard]] virtual bool plan(StepPlan& plan, Seconds now) = 0;
  [[nodiscard]] virtual bool resume(StepPlan& plan, Seconds now) = 0;
  // Of the plans that follow, how many are sure to be steady and alike except for context that is
  // longer by one token a sequence, if nothing arrives, completes or is aborted meanwhile.
  [[nodiscard]] virtual std::int64_t steady_plans() = 0;
  // plan() for a step that steady_plans() promised: cost is that of the blocks it needs.
  virtual void plan_steady(StepShape& shape, Seconds now) = 0;
  // Step number `step` has computed, its results come out now. Not called for the steps of a run
  // that were promised to be steady.
  virtual void step_ended(std::int64_t /*step*/) {}
  // The last token of a sequence has come out, or it is aborted: it leaves and gives blocks back.
  virtual void end(Sequence& sequence) = 0;
  // A load from a lower tier has ended with the first `tokens` in HBM.
  virtual void loaded(Sequence& sequence, std::int64_t tokens) = 0;
  // What made an admission fail may have changed.
  virtual void unblock() = 0;

  [[nodiscard]] virtual std::int64_t running() const = 0;
  [[nodiscard]] virtual std::int64_t waiting() const = 0;
  // Answer tokens of a sequence in the steps planned so far.
  [[nodiscard]] virtual std::int64_t produced(const Sequence& sequence) const = 0;
  // Tokens planned again after a preemption.
  [[nodiscard]] virtual std::int64_t recomputed() const = 0;
};

}  // namespace kvsim
