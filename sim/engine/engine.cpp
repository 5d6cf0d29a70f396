#include "sim/engine/engine.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/chunk_shape.hpp"
#include "sim/kv/kv_events.hpp"
#include "sim/kv/kv_index.hpp"

namespace kvsim {

Engine::Engine(World& world, const Options& options, std::unique_ptr<StepTime> step_time,
               EngineListener& listener)
    : world_(world),
      options_(options),
      step_time_(std::move(step_time)),
      listener_(listener),
      timer_(world, Priority::kEngine, call<&Engine::wake>(), this),
      plans_(options.async_scheduling ? 2 : 1) {
  BlockPool::Options pool;
  pool.blocks = static_cast<std::int32_t>(options.kv_blocks);
  pool.caching = options.limits.prefix_caching;
  pool.unhashed_to_front = options.unhashed_to_front;
  pool_ = std::make_unique<BlockPool>(pool);
  set_connector(nullptr);
}

Engine::~Engine() = default;

void Engine::set_connector(std::unique_ptr<Connector> connector) {
  connector_ = std::move(connector);
  const Scheduler::Context context{options_.limits, *pool_, connector_.get(), step_time_->window()};
  const ConfigNode node(options_.scheduler, "engine");
  scheduler_ = Registry<Scheduler>::instance().make(node, context);
}

void Engine::set_events(KvEventLog* events) {
  KV_CHECK(events_ == nullptr && events != nullptr, "events are told once");
  events_ = events;
  pool_->add_listener(events->tier(0));
  const std::size_t lower = connector_ == nullptr ? 0 : connector_->tiers().size();
  for (std::size_t tier = 0; tier < lower && tier + 1 < kIndexTiers; ++tier)
    if (connector_->told_blocks(tier) > 0) connector_->add_listener(tier, events->tier(tier + 1));
  events->set_catch_up([this] {
    if (!settling_) catch_up(world_.now());
  });
}

bool Engine::fits(const Request& request) const {
  const std::int64_t length = request.input.count() + request.output.count();
  if (options_.limits.max_model_len > 0 && length > options_.limits.max_model_len) return false;
  if (!scheduler_->can_compute(request)) return false;
  return groups_of(length, options_.limits.block_tokens) <= pool_->total() - 1;  // placeholder
}

void Engine::submit(Sequence& sequence) {
  sequence.received = world_.now();
  if (sequence.number < 0) sequence.number = ++submitted_;
  sequence.finished = false;
  sequence.prompt_tokens = sequence.request.input.count();
  if (options_.limits.prefix_caching || connector_ != nullptr)
    extend_block_hashes(sequence.request, options_.limits.block_tokens,
                        sequence.prompt_tokens + sequence.request.output.count(), sequence.hashes);
  receive({Message::Kind::kArrival, Outcome::kCompleted, world_.now(), &sequence});
}

void Engine::abort(Sequence& sequence, Outcome outcome) {
  receive({Message::Kind::kAbort, outcome, world_.now(), &sequence});
}

void Engine::on_loaded(KvSequence& loaded, std::int64_t tokens) {
  auto& sequence = static_cast<Sequence&>(loaded);
  note_fetch(sequence, world_.now() - sequence.load_began);
  count_miss(sequence, tokens);
  receive({Message::Kind::kLoaded, Outcome::kCompleted, world_.now(), &sequence, tokens});
}

void Engine::on_missed(KvSequence& missed, std::int64_t tokens) {
  auto& sequence = static_cast<Sequence&>(missed);
  count_miss(sequence, tokens);
  count_chunk(plans_[0].shape, tokens, sequence.load_to, step_time_->window());
}

void Engine::count_miss(Sequence& sequence, std::int64_t tokens) {
  std::int64_t lost = sequence.load_to - tokens;
  auto& hits = sequence.record.hit_tokens;
  // What lies deepest is last in the prompt.
  for (std::size_t tier = hits.size(); tier-- > 1 && lost > 0;) {
    const std::int64_t part = std::min(hits[tier], lost);
    hits[tier] -= part;
    lost -= part;
  }
}

// Fetches and lookups after a preemption are no part of the time to first token.
void Engine::note_fetch(Sequence& sequence, Seconds elapsed) {
  const StageTimes parts = sequence.fetched.split_over(elapsed);
  sequence.fetched = {};
  if (sequence.record.first_token >= Seconds(0)) return;
  sequence.record.fetch += elapsed;
  for (std::size_t i = 0; i < kStages; ++i) sequence.record.fetch_stages[i] += parts.seconds[i];
}

void Engine::on_changed() {
  if (!paused_) {
    receive({Message::Kind::kChanged, Outcome::kCompleted, world_.now(), nullptr});
    return;
  }
  if (!scheduler_->resume(plans_[planned_], world_.now())) return;
  paused_ = false;
  if (!plans_[planned_].empty()) count_planned();
  if (phase_ != Phase::kIdle) return;
  waits_.lookups += world_.now() - pause_began_;
  pass_boundary(world_.now());
}

void Engine::receive(Message message) {
  inbox_.push_back(message);
  if (phase_ == Phase::kIdle && !paused_) {
    if (!timer_.pending()) timer_.set(message.at);
    return;
  }
  if (phase_ != Phase::kComputing) return;
  const auto from = ends_.begin() + static_cast<std::ptrdiff_t>(passed_);
  const auto cut = std::upper_bound(from, ends_.end(), message.at);
  if (cut == ends_.end() || cut + 1 == ends_.end()) return;
  ends_.erase(cut + 1, ends_.end());
  timer_.set(ends_.back());
}

void Engine::wake(Seconds now) {
  if (phase_ == Phase::kComputing) {
    settle(now);
    KV_CHECK(passed_ + 1 == ends_.size() && ends_.back() == now);
    computed_at_ = now;
    phase_ = Phase::kEnding;
    const auto resume = [this] {
      waits_.stores += world_.now() - computed_at_;
      finish_step(world_.now());
      if (!paused_) take_in(world_.now(), false);
      pass_boundary(world_.now());
    };
    if (connector_ != nullptr && connector_->hold_end(steps_, resume)) return;
    finish_step(now);
    pause_began_ = now;
  }
  if (paused_) return;
  take_in(now, false);
  pass_boundary(now);
}

void Engine::pass_boundary(Seconds now) {
  plan_more(now);
  if (planned_ == 0 && !paused_ && !inbox_.empty()) {
    take_in(now, true);
    plan_more(now);
  }
  pause_began_ = now;
  if (planned_ > 0) return begin_step(now);
  published_ = state();
  if (connector_ != nullptr)
    connector_->step_begins(std::numeric_limits<std::int64_t>::max());  // nothing to wait for
}

void Engine::plan_more(Seconds now) {
  while (planned_ < plans_.size() && !paused_) {
    paused_ = !scheduler_->plan(plans_[planned_], now);
    if (paused_ || plans_[planned_].empty()) return;
    count_planned();
  }
}

void Engine::count_planned() {
  if (connector_ != nullptr)
    plans_[planned_].connector = connector_->planned(steps_ + static_cast<std::int64_t>(planned_));
  ++planned_;
}

void Engine::begin_step(Seconds now) {
  phase_ = Phase::kBeginning;
  // The connector may have sent a message while it was asked: it waits for the next boundary.
  timer_.cancel();
  if (connector_ != nullptr) {
    connector_->step_begins(steps_ - 1);
    hold_began_ = now;
    ends_.clear();
    passed_ = 0;
    const auto resume = [this] {
      end_hold();
      sleep_through(world_.now());
    };
    if (connector_->hold_begin(steps_, resume)) return;
  }
  sleep_through(now);
}

void Engine::end_hold() {
  const Seconds held = world_.now() - hold_began_;
  StageTimes stages;
  for (Sequence* sequence : plans_[0].loads) {
    stages.add(sequence->fetched);
    note_fetch(*sequence, held);
  }
  if (plans_[0].loads.empty()) {
    waits_.stores += held;
  } else {
    waits_.loads += held;
    waits_.load_stages.add(stages.split_over(held));
  }
}

void Engine::sleep_through(Seconds now) {
  phase_ = Phase::kComputing;
  ends_.clear();
  passed_ = 0;
  step_began_ = now;
  StepShape shape = plans_[0].shape;
  Seconds end = now + duration(shape, plans_[0].connector);
  ends_.push_back(end);
  bool alike = options_.coalesce && inbox_.empty() && planned_ == plans_.size() &&
               (connector_ == nullptr || !connector_->storing());
  for (std::size_t i = 0; i < planned_; ++i) {
    const StepShape& planned = plans_[i].shape;
    const std::int64_t longer = static_cast<std::int64_t>(i) * shape.decode_sequences;
    alike = alike && plans_[i].steady() && planned.decode_sequences == shape.decode_sequences &&
            planned.decode_context == shape.decode_context + longer &&
            planned.decode_window_context == shape.decode_window_context;
  }
  if (alike) {
    const std::int64_t plans = scheduler_->steady_plans();
    for (std::int64_t i = 0; i < plans; ++i) {
      shape.decode_context += shape.decode_sequences;
      end += duration(shape, Seconds(0));
      ends_.push_back(end);
    }
  }
  KV_CHECK(ends_.front() > now, "a step of {} s", (ends_.front() - now).count());
  timer_.set(ends_.back());
}

void Engine::settle(Seconds until) {
  settling_ = true;
  while (passed_ + 1 < ends_.size() && ends_[passed_] < until) {
    const Seconds boundary = ends_[passed_];
    const StepShape& shape = plans_[0].shape;
    count_step(step_began_, boundary, boundary, shape, 0);
    if (events_ != nullptr) events_->step_ended(boundary);
    published_ = state();
    if (plans_.size() == 2) plans_[0].shape = plans_[1].shape;
    scheduler_->plan_steady(plans_.back().shape, boundary);
    step_began_ = boundary;
    ++passed_;
  }
  settling_ = false;
}

void Engine::count_step(Seconds begin, Seconds computed, Seconds end, const StepShape& shape,
                        std::int32_t wasted) {
  busy_ += computed - begin;
  ++steps_;
  computed_tokens_ += shape.prefill_tokens + shape.decode_sequences;
  const std::int64_t answering = shape.decode_sequences - wasted;
  if (answering > 0 && !dead_) tell_gaps(answering, end);
  last_tokens_ = end;
}

void Engine::hold_back(std::int64_t paused) {
  for (Late& late : late_) {  // some may have left meanwhile
    late.count = std::min(late.count, paused);
    paused -= late.count;
  }
  if (paused > 0) late_.push_back({last_tokens_, paused});
}

void Engine::tell_gaps(std::int64_t answering, Seconds end) {
  for (const Late& late : late_) {
    const std::int64_t count = std::min(late.count, answering);
    if (count > 0) listener_.token_gap(options_.replica, end - late.last, count, end);
    answering -= count;
  }
  late_.clear();
  if (answering > 0) listener_.token_gap(options_.replica, end - last_tokens_, answering, end);
}

void Engine::finish_step(Seconds now) {
  StepPlan& plan = plans_[0];
  scheduler_->step_ended(steps_);
  if (!dead_ && (plan.paused > 0 || !late_.empty()))
    hold_back(plan.paused + plan.shape.decode_sequences - plan.wasted);
  count_step(step_began_, computed_at_, now, plan.shape, plan.wasted);
  if (dead_) plan.tokens_from_prefill.clear();
  if (events_ != nullptr && !dead_) events_->step_ended(now);
  for (Sequence* sequence : plan.tokens_from_prefill) {
    // The second half of a request has a first token from the first one.
    if (sequence->record.first_token < Seconds(0) || sequence->last_token < Seconds(0)) {
      listener_.first_token(*sequence, now);
    } else {
      listener_.token_gap(options_.replica, now - sequence->last_token, 1, now);
    }
  }
  // A sequence may be recycled as soon as it has left: the list must not outlive the loop.
  if (dead_) plan.finishing.clear();  // their aborts are under way
  for (Sequence* sequence : plan.finishing) leave(*sequence, Outcome::kCompleted, now);
  published_ = state();
  plan.clear();
  if (plans_.size() == 2) std::swap(plans_[0], plans_[1]);
  --planned_;
  phase_ = Phase::kIdle;
}

void Engine::take_in(Seconds now, bool idle) {
  if (inbox_.empty()) return;
  taken_.clear();
  const auto later = std::stable_partition(inbox_.begin(), inbox_.end(),
                                           [&](const Message& m) { return m.at < now || idle; });
  taken_.assign(inbox_.begin(), later);
  inbox_.erase(inbox_.begin(), later);
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    const Message message = taken_[i];
    Sequence* sequence = message.sequence;
    switch (message.kind) {
      case Message::Kind::kArrival:
        scheduler_->add(*sequence);
        break;
      case Message::Kind::kLoaded:
        scheduler_->loaded(*sequence, message.tokens);
        if (sequence->aborted) leave(*sequence, sequence->abort_outcome, now);
        break;
      case Message::Kind::kAbort:
        if (sequence == nullptr) break;  // it left on its own meanwhile
        if (sequence->state == Sequence::State::kLoading) {
          sequence->aborted = true;
          sequence->abort_outcome = message.outcome;
        } else {
          leave(*sequence, message.outcome, now);
        }
        break;
      case Message::Kind::kChanged:
        scheduler_->unblock();
        break;
    }
  }
}

void Engine::leave(Sequence& sequence, Outcome outcome, Seconds now) {
  const auto forget = [&](std::vector<Message>& messages) {
    for (Message& message : messages)
      if (message.kind == Message::Kind::kAbort && message.sequence == &sequence)
        message.sequence = nullptr;
  };
  forget(inbox_);
  forget(taken_);
  if (outcome != Outcome::kCompleted) {
    for (StepPlan& plan : plans_) {
      std::erase(plan.tokens_from_prefill, &sequence);
      std::erase(plan.finishing, &sequence);
      std::erase(plan.loads, &sequence);
    }
  }
  sequence.finished = outcome == Outcome::kCompleted;
  scheduler_->end(sequence);
  listener_.ended(sequence, outcome, now);
}

void Engine::crash(Seconds now) {
  catch_up(now);
  dead_ = true;
  late_.clear();
}

void Engine::catch_up(Seconds now) {
  if (phase_ == Phase::kComputing) settle(now);
}

void Engine::stop(Seconds now) {
  catch_up(now);
  if (phase_ == Phase::kComputing) busy_ += std::max(Seconds(0), now - step_began_);
}

std::int64_t Engine::given_out(const Sequence& sequence) const {
  // Those of planned steps are still to come.
  return std::max<std::int64_t>(
      0, scheduler_->produced(sequence) - static_cast<std::int64_t>(planned_));
}

EngineGauges Engine::state() const {
  return {scheduler_->running(), scheduler_->waiting(), pool_->usage()};
}

EngineGauges Engine::gauges(Seconds now) {
  catch_up(now);
  return state();
}

EngineGauges Engine::published(Seconds now) {
  catch_up(now);
  return published_;
}

Seconds Engine::duration(const StepShape& shape, Seconds connector) const {
  const Seconds gpu = step_time_->gpu(shape);
  const Seconds cpu = step_time_->cpu(shape) + connector;
  return options_.async_scheduling ? std::max(gpu, cpu) : gpu + cpu;
}

}  // namespace kvsim
