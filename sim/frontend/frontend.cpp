#include "sim/frontend/frontend.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

using Place = Flight::Place;

Frontend::Frontend(World& world, const Options& options, Recorder& recorder)
    : world_(world),
      options_(options),
      recorder_(recorder),
      stations_(world, Priority::kDeliver,
                [this](Wait& wait, Seconds now) {
                  if (wait.flight->visit == wait.visit) proceed(*wait.flight, now);
                }),
      deadline_timer_(world, Priority::kClient, call<&Frontend::give_up>(), this) {}

Frontend::~Frontend() = default;

Replica& Frontend::add_replica(Replica::Setup setup, std::unique_ptr<Engine> engine) {
  const auto number = static_cast<std::int32_t>(replicas_.size());
  replicas_.push_back(std::make_unique<Replica>(number, std::move(setup), std::move(engine)));
  return *replicas_.back();
}

Dispatcher& Frontend::add_dispatcher(std::unique_ptr<Dispatcher> dispatcher) {
  dispatcher->set_released([this](std::int64_t number, bool refused) {
    const auto at = held_.find(number);
    KV_CHECK(at != held_.end(), "request number {} is not held", number);
    Flight& flight = *at->second;
    held_.erase(at);
    if (refused) return finish(flight, Outcome::kRefused, world_.now());
    dispatch(flight, world_.now());
  });
  Dispatcher& made = *dispatcher;
  made.set_deserted([this, &made] { desert(made, world_.now()); });
  dispatchers_.push_back(std::move(dispatcher));
  return made;
}

Flight& Frontend::acquire() {
  if (unused_.empty()) {
    flights_.push_back(std::make_unique<Flight>());
    return *flights_.back();
  }
  Flight& flight = *unused_.back();
  unused_.pop_back();
  return flight;
}

void Frontend::recycle(Flight& flight) {
  // Vectors keep their capacity, the epoch outdates what still points here.
  Flight fresh;
  fresh.epoch = flight.epoch + 1;
  fresh.hashes.swap(flight.hashes);
  fresh.blocks.swap(flight.blocks);
  fresh.request.prompt.swap(flight.request.prompt);
  fresh.hashes.clear();
  fresh.blocks.clear();
  flight = std::move(fresh);
  flight.record.id = -1;
  unused_.push_back(&flight);
}

void Frontend::arrive(Request& request, Seconds intended) {
  const Seconds now = world_.now();
  Flight& flight = acquire();
  std::swap(flight.request, request);
  const Request& asked = flight.request;
  RequestRecord& record = flight.record;
  record.id = asked.id;
  record.session = asked.session;
  record.turn = asked.turn;
  record.stage = asked.stage;
  record.input_tokens = asked.input.count();
  record.intended = intended;
  record.sent = now;
  recorder_.arrived();
  ++in_flight_;
  flight.prompt_tokens = asked.input.count();
  KV_CHECK(asked.llm >= 0 && static_cast<std::size_t>(asked.llm) < dispatchers_.size());
  if (!dispatcher(flight).fits(asked)) {
    finish(flight, Outcome::kRefused, now);
    return;
  }
  if (options_.client_timeout > Seconds(0)) watch_deadline(flight);
  enter(flight, now);
}

void Frontend::wait_until(Flight& flight, Seconds at) {
  flight.visit = ++visits_;
  stations_.add(at, {&flight, flight.visit});
}

void Frontend::enter(Flight& flight, Seconds now) {
  ++flight.attempts;
  flight.number = ++numbers_;
  const Seconds done = dispatcher(flight).gateway(now, flight.prompt_tokens);
  if (done <= now) return admit(flight, now);
  flight.place = Place::kGateway;
  wait_until(flight, done);
}

void Frontend::admit(Flight& flight, Seconds now) {
  switch (dispatcher(flight).admit(flight, now)) {
    case Admission::Verdict::kAdmit:
      return dispatch(flight, now);
    case Admission::Verdict::kHold:
      flight.place = Place::kHeld;
      held_.emplace(flight.number, &flight);
      return;
    case Admission::Verdict::kRefuse:
      return finish(flight, Outcome::kRefused, now);
  }
}

void Frontend::dispatch(Flight& flight, Seconds now) {
  const Seconds lookup = dispatcher(flight).lookup_time();
  if (lookup <= Seconds(0)) return choose(flight, now);
  flight.place = Place::kLookup;
  wait_until(flight, now + lookup);
}

void Frontend::choose(Flight& flight, Seconds now) {
  const Dispatcher::Route route = dispatcher(flight).route(flight, now);
  if (route.nobody) return fail(flight, now);
  if (route.replica == nullptr) return finish(flight, Outcome::kRefused, now);
  if (route.prefill != nullptr) return begin_prefill(flight, route, now);
  send(flight, *route.replica, route.choice, now);
}

Seconds Frontend::api_work(const Flight& flight, const ApiServerCosts& api) const {
  const bool decodes_for_another = flight.remote_number >= 0;
  if (decodes_for_another && options_.disaggregation.prompt_to_decode == "token-ids")
    return api.cpu_per_request;
  return api.cpu_per_request + api.cpu_per_input_token * static_cast<double>(flight.prompt_tokens);
}

void Frontend::send(Flight& flight, Replica& replica, std::int32_t choice, Seconds now) {
  flight.record.replica = replica.index;
  if (flight.replica == nullptr) {
    flight.replica = &replica;
    flight.choice = choice;
    ++replica.in_flight;
    dispatcher(flight).sent(flight);
  }
  if (watcher_ != nullptr) watcher_->arrived(flight, now);
  const ApiServerCosts& api = replica.api;
  replica.engine->catch_up(now);  // its tokens are in the API server's queue already
  flight.place = Place::kApiServer;
  wait_until(flight, replica.api_server.serve(now, api_work(flight, api)) + api.latency);
}

void Frontend::proceed(Flight& flight, Seconds now) {
  const Place at = flight.place;
  flight.visit = 0;
  if (flight.aborted) {
    if (flight.prefill_half) return prefill_ended(flight, flight.abort_outcome, now);
    if (flight.abort_outcome == Outcome::kFailed) return fail(flight, now);
    return finish(flight, flight.abort_outcome, now);
  }
  switch (at) {
    case Place::kGateway:
      return admit(flight, now);
    case Place::kLookup:
      return choose(flight, now);
    case Place::kRetry:
      return enter(flight, now);
    case Place::kPrefill:
      return send(flight, *flight.replica, flight.choice, now);
    default:
      return deliver(flight, now);
  }
}

void Frontend::deliver(Flight& flight, Seconds now) {
  if (!flight.replica->up()) {  // the connection is refused
    if (flight.prefill_half) return prefill_ended(flight, Outcome::kFailed, now);
    return fail(flight, now);
  }
  flight.place = Place::kEngine;
  flight.received = now;
  flight.replica->engine->submit(flight);
}

void Frontend::leave_replica(Flight& flight, Seconds now) {
  Replica& replica = *flight.replica;
  flight.replica = nullptr;
  --replica.in_flight;
  dispatcher(flight).ended(flight, now);
  if (replica.state == Replica::State::kDraining && replica.in_flight == 0 && idle_) idle_(replica);
}

void Frontend::fail(Flight& flight, Seconds now) {
  if (flight.cancelled) return finish(flight, Outcome::kUnfinished, now);
  if (gives_up_at(flight.record, now)) return finish(flight, Outcome::kTimedOut, now);
  if (flight.attempts >= options_.attempts) return finish(flight, Outcome::kFailed, now);
  if (flight.replica != nullptr) leave_replica(flight, now);
  part_from_half(flight);
  // It starts over: only what its client has seen stays.
  const RequestRecord record = flight.record;
  const std::int32_t attempts = flight.attempts;
  Flight fresh;
  fresh.epoch = flight.epoch + 1;
  fresh.hashes.swap(flight.hashes);
  fresh.hashes.clear();
  std::swap(fresh.request, flight.request);
  fresh.prompt_tokens = record.input_tokens;
  fresh.attempts = attempts;
  fresh.record = record;
  fresh.record.replica = -1;
  fresh.record.first_token = Seconds(-1);
  fresh.record.hit_tokens = {};
  fresh.record.queue = fresh.record.lookup = fresh.record.fetch = fresh.record.prefill = Seconds(0);
  fresh.record.fetch_stages = {};
  if (flight.taken > 0) give_back_first_token(fresh.request);
  flight = std::move(fresh);
  flight.place = Place::kRetry;
  wait_until(flight, now + options_.backoff * std::pow(options_.backoff_factor, attempts - 1));
}

Seconds Frontend::detokenise(Replica& replica, std::int64_t tokens, Seconds now) {
  const Seconds each = replica.api.cpu_per_output_token;
  if (each <= Seconds(0)) return Seconds(0);
  const Seconds work = each * static_cast<double>(tokens);
  return replica.delivery_lag = replica.api_server.serve_by_all(now, work) - now;
}

void Frontend::first_token(Sequence& sequence, Seconds now) {
  auto& flight = static_cast<Flight&>(sequence);
  const Seconds at = now + detokenise(*flight.replica, 1, now);
  if (!flight.told_first) {
    flight.told_first = true;
    dispatcher(flight).first_token(flight, now);
  }
  if (flight.cancelled) return;
  if (watcher_ != nullptr) watcher_->first_token(flight, now);
  if (flight.prefill_half) {
    if (flight.other_half == nullptr) return;
    Flight& main = *flight.other_half;
    flight.record.first_token = at;
    main.prompt_computed = now;
    main.fetched_by_half = flight.record.fetch;
    take_parts(flight, now, main.record);
    if (options_.disaggregation.first_token != "prefill" || has_given_up(main.record, at)) return;
    main.answered = 1;
    main.record.first_token = at;
    const RequestRecord& r = main.record;
    main.record.other = r.first_token - r.sent - r.queue - r.lookup - r.fetch - r.prefill;
    return;
  }
  if (has_given_up(flight.record, at)) return;
  if (flight.answered > 0) {
    recorder_.gap(at - flight.record.first_token, 1, at);
    return;
  }
  flight.record.first_token = at;
  split_time_to_first_token(flight, now);
}

// In terms of the run's tiers.
std::array<std::int64_t, 4> Frontend::hits_of(const Flight& flight) {
  std::array<std::int64_t, 4> hits{};
  const auto& own = flight.record.hit_tokens;
  for (std::size_t i = 0; i < own.size(); ++i)
    if (own[i] > 0) hits[flight.replica->tiers[i]] += own[i];
  return hits;
}

void Frontend::ended(Sequence& sequence, Outcome outcome, Seconds now) {
  auto& flight = static_cast<Flight&>(sequence);
  if (watcher_ != nullptr) watcher_->ended(flight, outcome, now);
  if (flight.prefill_half) return prefill_ended(flight, outcome, now);
  if (outcome == Outcome::kFailed) return fail(flight, now);
  const Seconds at = now + flight.replica->delivery_lag;
  // The engine hears of it at the end of a step, which may bring the whole answer too late.
  if (outcome == Outcome::kCompleted && has_given_up(flight.record, at))
    outcome = Outcome::kTimedOut;
  // What a decode replica got from a prefill replica is no hit.
  flight.record.hit_tokens = flight.remote_number < 0 ? hits_of(flight) : flight.prefill_hits;
  finish(flight, outcome, at);
}

void Frontend::token_gap(std::int32_t replica, Seconds gap, std::int64_t sequences, Seconds now) {
  // A client's gap is the engine's and what the API server has fallen behind meanwhile.
  Replica& by = *replicas_[static_cast<std::size_t>(replica)];
  const Seconds before = by.delivery_lag;
  const Seconds lag = detokenise(by, sequences, now);
  recorder_.gap(std::max(Seconds(0), gap + lag - before), sequences, now);
}

void Frontend::finish(Flight& flight, Outcome outcome, Seconds at) {
  RequestRecord& record = flight.record;
  at = std::max(at, record.first_token);  // that may be on its way to the client still
  record.outcome = outcome;
  record.ended = at;
  if (outcome == Outcome::kTimedOut) record.ended = record.sent + options_.client_timeout;
  if (record.first_token < Seconds(0) && flight.received >= Seconds(0)) {
    const bool scheduled = flight.first_scheduled >= Seconds(0);
    const Seconds until = scheduled ? flight.first_scheduled : record.ended;
    const Seconds fetched =
        (scheduled ? flight.fetched_before : record.fetch) - flight.fetched_by_half;
    record.queue = std::max(Seconds(0), until - flight.received - fetched);
  }
  record.output_tokens = outcome == Outcome::kCompleted
                             ? flight.request.output.count() + flight.taken
                             : std::max<std::int64_t>(0, flight.produced) + flight.answered;
  if (flight.replica != nullptr) leave_replica(flight, world_.now());
  part_from_half(flight);
  --in_flight_;
  if (!flight.cancelled) {  // else all of this has been told
    last_ended_ = std::max(last_ended_, at);
    recorder_.finished(record);
    if (ended_) ended_(flight.request, std::max(at, world_.now()));
  }
  recycle(flight);
}

void Frontend::crash(Replica& replica) {
  const Seconds now = world_.now();
  if (!replica.up()) return;
  const bool draining = replica.state == Replica::State::kDraining;
  replica.engine->crash(now);
  replica.state = Replica::State::kDown;
  for (const auto& flight : flights_)
    if (flight->record.id >= 0 && flight->replica == &replica && flight->place == Place::kEngine)
      stop(*flight, Outcome::kFailed, now);
  if (Connector* connector = replica.engine->connector()) connector->crashed();
  if (replica.events) replica.events->cleared();
  if (draining && idle_) idle_(replica);
}

void Frontend::drain(Replica& replica) {
  replica.state = Replica::State::kDraining;
  dispatcher_of(replica).set_ready(replica, false);
  if (replica.in_flight == 0 && idle_) idle_(replica);
}

bool Frontend::restore(Replica& replica) {
  BlockPool& pool = replica.engine->pool();
  if (pool.free() != pool.total() - 1) return false;
  pool.clear();
  replica.engine->revive();
  replica.delivery_lag = Seconds(0);
  replica.state = Replica::State::kReady;
  dispatcher_of(replica).set_ready(replica, true);
  return true;
}

// No replica is left that requests held by admission could go to: they are let go, and fail.
void Frontend::desert(Dispatcher& dispatcher, Seconds now) {
  std::vector<Flight*> held;
  for (const auto& flight : flights_)
    if (flight->record.id >= 0 && flight->place == Place::kHeld &&
        dispatchers_[static_cast<std::size_t>(flight->request.llm)].get() == &dispatcher)
      held.push_back(flight.get());
  std::sort(held.begin(), held.end(),
            [](const Flight* a, const Flight* b) { return a->number < b->number; });
  for (Flight* flight : held) {
    dispatcher.gone(flight->number);
    held_.erase(flight->number);
    dispatch(*flight, now);
  }
}

std::vector<ResourceUse> Frontend::resources() const {
  std::vector<ResourceUse> out;
  for (const auto& replica : replicas_) {
    ResourceUse gpu;
    gpu.name = "gpu-" + std::to_string(replica->index);
    gpu.kind = "gpu";
    gpu.busy = replica->engine->busy();
    out.push_back(gpu);
    out.push_back(replica->api_server.use());
  }
  for (const auto& dispatcher : dispatchers_)
    for (ResourceUse& use : dispatcher->resources()) out.push_back(std::move(use));
  return out;
}

}  // namespace kvsim
