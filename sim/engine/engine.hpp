// One replica's engine: owns time. It asks its scheduler for steps, spends their duration, and
// tells its listener of tokens and ends.
//
// Plan and boundary. A step ends at a boundary; there its results are processed, what has arrived
// strictly before is taken in, and a step is planned: the next one, or with asynchronous scheduling
// the one after it, because the next is already with the GPU (spec/vllm.md section 1).
//
// Coalescing. A run of steps in which the scheduler is sure that nothing can change is one sleep.
// Its boundaries are passed later, all at once (settle), or up to the first boundary after
// something arrived. Every duration is computed and added step by step, as if each had been slept
// through, so that results do not depend on coalescing. Strictly-before makes this hold for ties.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/des/world.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/perf/step_time.hpp"

namespace kvsim {

class KvEventLog;

// What an engine publishes once per step (vLLM's gauges).
struct EngineGauges {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  double kv_usage = 0;  // 0..1; cached but unreferenced blocks count as free
};

// Time in which an engine had a step to do and could not, over the whole run.
struct StepWaits {
  Seconds loads{0};        // that are part of a step about to begin
  StageTimes load_stages;  // the same by stage
  Seconds stores{0};       // part of a step that has computed, or about to be overwritten
  Seconds lookups{0};      // the scheduler waits for a tier's answer, nothing computes
};

// Hears of results. Calls come in simulated order, at `now` = the boundary of the step.
class EngineListener {
 public:
  virtual ~EngineListener() = default;
  virtual void first_token(Sequence& sequence, Seconds now) = 0;
  // The sequence has left the engine; the listener may recycle it.
  virtual void ended(Sequence& sequence, Outcome outcome, Seconds now) = 0;
  // `sequences` decodes each waited `gap` for their next token, which came at `now`. For steps that
  // were slept through, `now` lies in the past.
  virtual void token_gap(std::int32_t replica, Seconds gap, std::int64_t sequences,
                         Seconds now) = 0;
};

class Engine {
 public:
  struct Options {
    EngineLimits limits;
    bool async_scheduling = true;
    bool coalesce = true;        // false: one sleep a step (for the differential test)
    std::int32_t replica = 0;    // which one this is, for its listener
    std::int64_t kv_blocks = 2;  // in HBM, with vLLM's placeholder block
    bool unhashed_to_front = true;
    Json scheduler = "vllm";  // plug-in: a name, or an object with its options
  };

  Engine(World& world, const Options& options, std::unique_ptr<StepTime> step_time,
         EngineListener& listener);
  ~Engine();

  // Before the first request. The connector must have been made on this engine's pool().
  void set_connector(std::unique_ptr<Connector> connector);
  [[nodiscard]] BlockPool& pool() { return *pool_; }
  [[nodiscard]] const BlockPool& pool() const { return *pool_; }
  [[nodiscard]] const Connector* connector() const { return connector_.get(); }
  [[nodiscard]] Connector* connector() { return connector_.get(); }
  // Hears of changes in HBM (its tier 0) and in what the connector tells of (tiers 1 and up), and
  // of ends of steps. Once, after set_connector(). Not owned.
  void set_events(KvEventLog* events);
  // For the connector's context.
  void on_loaded(KvSequence& sequence, std::int64_t tokens);
  void on_missed(KvSequence& sequence, std::int64_t tokens);
  void on_changed();

  // Could this request ever run here? Lengths against max_model_len and the block pool.
  [[nodiscard]] bool fits(const Request& request) const;
  // A request arrives now. It must fit. It gets a number here unless it has one.
  void submit(Sequence& sequence);
  // The client gave up: the sequence leaves at the next boundary, with the given outcome.
  void abort(Sequence& sequence, Outcome outcome);

  // Its process has died: no token and no good end comes out of it any more, whatever it is in the
  // middle of; who submitted sequences aborts them. Until revive(), when all of them have left.
  void crash(Seconds now);
  void revive() { dead_ = false; }

  // Tells the listener of all tokens that came strictly before `now`.
  void catch_up(Seconds now);
  // The run is over: counts what has been computed up to now.
  void stop(Seconds now);
  // Answer tokens of a running sequence that have come out.
  [[nodiscard]] std::int64_t given_out(const Sequence& sequence) const;
  // The state after the last boundary strictly before `now`, the step under way included.
  [[nodiscard]] EngineGauges gauges(Seconds now);
  // What its metrics show: the state at the end of the last step strictly before `now`. What the
  // step under way has admitted is not in it, nor what has arrived since that step was planned.
  [[nodiscard]] EngineGauges published(Seconds now);

  [[nodiscard]] std::int64_t block_tokens() const { return options_.limits.block_tokens; }
  [[nodiscard]] Seconds busy() const { return busy_; }
  [[nodiscard]] const StepWaits& waits() const { return waits_; }
  [[nodiscard]] std::int64_t steps() const { return steps_; }
  [[nodiscard]] std::int64_t computed_tokens() const { return computed_tokens_; }
  // Tokens whose KV was computed again for the same request after a preemption.
  [[nodiscard]] std::int64_t recomputed_tokens() const { return scheduler_->recomputed(); }

 private:
  struct Message {
    enum class Kind : std::uint8_t { kArrival, kAbort, kLoaded, kChanged };
    Kind kind;
    Outcome outcome;
    Seconds at;
    Sequence* sequence;
    std::int64_t tokens = 0;  // loaded
  };
  // What the engine is doing. An idle one and one whose plan is held up have no timer set, or one
  // for messages.
  enum class Phase : std::uint8_t {
    kIdle,
    kBeginning,  // the next step is held up by the connector
    kComputing,
    kEnding,  // results are held back by the connector
  };

  void receive(Message message);
  void wake(Seconds now);                // the timer: a boundary, or an idle engine starts
  void finish_step(Seconds now);         // results of the step that ends at this boundary
  void take_in(Seconds now, bool idle);  // messages from strictly before, all when idle
  // Results are out: plans, begins what is planned.
  void pass_boundary(Seconds now);
  void plan_more(Seconds now);
  void count_planned();
  void begin_step(Seconds now);
  void sleep_through(Seconds now);
  void note_fetch(Sequence& sequence, Seconds elapsed);
  // The step that was held up may begin.
  void end_hold();
  // Of what was promised, only the first `tokens` came.
  void count_miss(Sequence& sequence, std::int64_t tokens);
  // Passes the boundaries of the current run that lie strictly before `until`.
  void settle(Seconds until);
  void leave(Sequence& sequence, Outcome outcome, Seconds now);
  [[nodiscard]] Seconds duration(const StepShape& shape, Seconds connector) const;
  void count_step(Seconds begin, Seconds computed, Seconds end, const StepShape& shape,
                  std::int32_t wasted);
  [[nodiscard]] EngineGauges state() const;
  // The step that has ended gave `paused` decodes no token: their gap goes on.
  void hold_back(std::int64_t paused);
  void tell_gaps(std::int64_t answering, Seconds end);

  World& world_;
  Options options_;
  std::unique_ptr<StepTime> step_time_;
  EngineListener& listener_;
  std::unique_ptr<BlockPool> pool_;
  std::unique_ptr<Connector> connector_;
  KvEventLog* events_ = nullptr;
  bool settling_ = false;
  std::unique_ptr<Scheduler> scheduler_;
  Timer timer_;
  std::vector<Message> inbox_;
  std::vector<Message> taken_;

  // The pipeline: plans_[0] executes, plans_[1] is planned behind it (asynchronous scheduling).
  std::vector<StepPlan> plans_;
  std::size_t planned_ = 0;
  Phase phase_ = Phase::kIdle;
  bool dead_ = false;
  bool paused_ = false;  // plans_[planned_] waits for the connector's answer
  std::int64_t submitted_ = 0;
  EngineGauges published_;

  // The run being slept through: ends_[i] is the end of its i-th step; boundaries before passed_
  // have been passed.
  std::vector<Seconds> ends_;
  std::size_t passed_ = 0;
  Seconds step_began_{0};
  Seconds hold_began_{0};
  Seconds computed_at_{0};  // end of the step whose results are held back
  Seconds pause_began_{0};  // nothing computes and the plan waits for the connector
  Seconds last_tokens_{0};  // of the step before, which may have ended before step_began_
  struct Late {
    Seconds last;  // when they got their latest token
    std::int64_t count;
  };
  std::vector<Late> late_;  // decodes that steps passed over, oldest first
  StepShape current_;       // shape of the step after boundary passed_ - 1

  Seconds busy_{0};
  StepWaits waits_;
  std::int64_t steps_ = 0;
  std::int64_t computed_tokens_ = 0;
};

}  // namespace kvsim
