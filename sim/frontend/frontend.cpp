#include "sim/frontend/frontend.hpp"

#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

Frontend::Frontend(World& world, const Options& options, Recorder& recorder)
    : world_(world),
      options_(options),
      recorder_(recorder),
      refresh_timer_(world, Priority::kObserve, call<&Frontend::refresh>(), this),
      deliveries_(world, Priority::kDeliver,
                  [this](Sequence*& sequence, Seconds now) { deliver(*sequence, now); }),
      deadline_timer_(world, Priority::kClient, call<&Frontend::give_up>(), this) {}

Frontend::~Frontend() = default;

void Frontend::add_engine(std::unique_ptr<Engine> engine) {
  const std::string name = "api-server-" + std::to_string(engines_.size());
  engines_.push_back(std::move(engine));
  api_servers_.emplace_back(name, options_.api.servers);
  views_.emplace_back();
  delivery_lag_.emplace_back(0);
}

void Frontend::set_router(std::unique_ptr<Router> router) { router_ = std::move(router); }

Sequence& Frontend::acquire() {
  if (unused_.empty()) {
    sequences_.push_back(std::make_unique<Sequence>());
    return *sequences_.back();
  }
  Sequence& sequence = *unused_.back();
  unused_.pop_back();
  return sequence;
}

void Frontend::recycle(Sequence& sequence) {
  // Vectors keep their capacity, the epoch outdates what still points here.
  Sequence fresh;
  fresh.epoch = sequence.epoch + 1;
  fresh.hashes.swap(sequence.hashes);
  fresh.blocks.swap(sequence.blocks);
  fresh.request.prompt.swap(sequence.request.prompt);
  fresh.hashes.clear();
  fresh.blocks.clear();
  sequence = std::move(fresh);
  sequence.record.id = -1;
  unused_.push_back(&sequence);
}

void Frontend::arrive(Request& request, Seconds intended) {
  const Seconds now = world_.now();
  Sequence& sequence = acquire();
  std::swap(sequence.request, request);
  const Request& asked = sequence.request;
  RequestRecord& record = sequence.record;
  record.id = asked.id;
  record.session = asked.session;
  record.turn = asked.turn;
  record.input_tokens = asked.input.count();
  record.intended = intended;
  record.sent = now;
  recorder_.arrived();
  ++in_flight_;
  sequence.prompt_tokens = asked.input.count();
  if (!engines_.front()->fits(asked)) {
    finish(sequence, Outcome::kRefused, now);
    return;
  }
  record.replica = route(sequence, now);
  const auto replica = static_cast<std::size_t>(record.replica);
  ++views_[replica].in_flight;
  if (options_.client_timeout > Seconds(0)) watch_deadline(sequence);
  const ApiServerCosts& api = options_.api;
  engines_[replica]->catch_up(now);  // its tokens are in the API server's queue already
  const Seconds work = api.cpu_per_request + api.cpu_per_input_token * asked.input.real();
  const Seconds at = api_servers_[replica].serve(now, work) + api.latency;
  deliveries_.add(at, &sequence);
}

std::int32_t Frontend::route(Sequence& sequence, Seconds now) {
  if (engines_.size() == 1) return 0;
  if (router_->needs_gauges()) {
    if (options_.view_refresh > Seconds(0)) {
      start_refreshing(now);
    } else {
      refresh(now);
    }
  }
  Ask ask;
  ask.input_tokens = sequence.prompt_tokens;
  ask.session = sequence.request.session;
  if (router_->hashes().block_tokens != 0) {
    const std::int64_t block = engines_.front()->block_tokens();
    extend_block_hashes(sequence.request, block, sequence.prompt_tokens, sequence.hashes);
    ask.prompt_hashes = sequence.hashes;
  }
  const Decision decision = router_->route(ask, {.now = now, .replicas = views_});
  KV_CHECK(decision.replica >= 0 && decision.replica < static_cast<int>(engines_.size()));
  return decision.replica;
}

void Frontend::start_refreshing(Seconds now) {
  if (refresh_timer_.pending()) return;
  // Refreshes lie on multiples of the period, whether or not anybody looked in between.
  const double period = options_.view_refresh.count();
  refreshes_ = static_cast<std::int64_t>(std::floor(now.count() / period)) + 1;
  refresh_timer_.set(Seconds(period * static_cast<double>(refreshes_)));
}

void Frontend::refresh(Seconds now) {
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    const EngineGauges gauges = engines_[i]->gauges(now);
    views_[i].running = gauges.running;
    views_[i].waiting = gauges.waiting;
    views_[i].kv_usage = gauges.kv_usage;
  }
  if (options_.view_refresh <= Seconds(0) || in_flight_ == 0) return;
  ++refreshes_;
  refresh_timer_.set(Seconds(options_.view_refresh.count() * static_cast<double>(refreshes_)));
}

void Frontend::deliver(Sequence& sequence, Seconds now) {
  if (sequence.aborted) {
    finish(sequence, sequence.abort_outcome, now);
    return;
  }
  sequence.received = now;
  engines_[static_cast<std::size_t>(sequence.record.replica)]->submit(sequence);
}

bool Frontend::has_given_up(const RequestRecord& record, Seconds at) const {
  return options_.client_timeout > Seconds(0) && at > record.sent + options_.client_timeout;
}

Seconds Frontend::detokenise(std::int32_t replica, std::int64_t tokens, Seconds now) {
  const Seconds each = options_.api.cpu_per_output_token;
  if (each <= Seconds(0)) return Seconds(0);
  const auto at = static_cast<std::size_t>(replica);
  const Seconds work = each * static_cast<double>(tokens);
  return delivery_lag_[at] = api_servers_[at].serve_by_all(now, work) - now;
}

void Frontend::first_token(Sequence& sequence, Seconds now) {
  const Seconds at = now + detokenise(sequence.record.replica, 1, now);
  if (has_given_up(sequence.record, at)) return;
  sequence.record.first_token = at;
  split_time_to_first_token(sequence, now);
}

void Frontend::split_time_to_first_token(Sequence& sequence, Seconds engine_time) {
  RequestRecord& record = sequence.record;
  const Seconds since_scheduled = engine_time - sequence.first_scheduled;
  const Seconds lookups_since = sequence.lookup_time - sequence.lookup_before;
  record.lookup = sequence.lookup_time;
  record.prefill = since_scheduled - (record.fetch - sequence.fetched_before) - lookups_since;
  record.queue = sequence.first_scheduled - sequence.received - sequence.fetched_before -
                 sequence.lookup_before;
  record.other = (sequence.received - record.sent) + (record.first_token - engine_time);
}

void Frontend::ended(Sequence& sequence, Outcome outcome, Seconds now) {
  const Seconds at = now + delivery_lag_[static_cast<std::size_t>(sequence.record.replica)];
  // The engine hears of it at the end of a step, which may bring the whole answer too late.
  if (outcome == Outcome::kCompleted && has_given_up(sequence.record, at))
    outcome = Outcome::kTimedOut;
  finish(sequence, outcome, at);
}

void Frontend::token_gap(std::int32_t replica, Seconds gap, std::int64_t sequences, Seconds now) {
  // A client's gap is the engine's and what the API server has fallen behind meanwhile.
  const Seconds before = delivery_lag_[static_cast<std::size_t>(replica)];
  const Seconds lag = detokenise(replica, sequences, now);
  recorder_.gap(std::max(Seconds(0), gap + lag - before), sequences, now);
}

void Frontend::finish(Sequence& sequence, Outcome outcome, Seconds at) {
  RequestRecord& record = sequence.record;
  record.outcome = outcome;
  record.ended = at;
  last_ended_ = std::max(last_ended_, at);
  if (outcome == Outcome::kTimedOut) record.ended = record.sent + options_.client_timeout;
  if (record.first_token < Seconds(0) && sequence.received >= Seconds(0)) {
    const bool scheduled = sequence.first_scheduled >= Seconds(0);
    const Seconds until = scheduled ? sequence.first_scheduled : record.ended;
    const Seconds fetched = scheduled ? sequence.fetched_before : record.fetch;
    record.queue = std::max(Seconds(0), until - sequence.received - fetched);
  }
  record.output_tokens = outcome == Outcome::kCompleted
                             ? sequence.request.output.count()
                             : std::max<std::int64_t>(0, sequence.produced);
  if (record.replica >= 0) {
    const auto replica = static_cast<std::size_t>(record.replica);
    --views_[replica].in_flight;
  }
  --in_flight_;
  recorder_.finished(record);
  if (ended_) ended_(sequence.request, std::max(at, world_.now()));
  recycle(sequence);
}

void Frontend::watch_deadline(Sequence& sequence) {
  deadlines_.push_back({world_.now() + options_.client_timeout, &sequence, sequence.record.id});
  if (!deadline_timer_.pending()) deadline_timer_.set(deadlines_.front().at);
}

void Frontend::give_up(Seconds now) {
  while (!deadlines_.empty()) {
    const Deadline deadline = deadlines_.front();
    const bool live = deadline.sequence->record.id == deadline.id;
    if (live && deadline.at > now) break;
    deadlines_.pop_front();
    if (!live) continue;
    Sequence& sequence = *deadline.sequence;
    const bool delivered = sequence.received >= Seconds(0);
    if (delivered) {
      engines_[static_cast<std::size_t>(sequence.record.replica)]->abort(sequence,
                                                                         Outcome::kTimedOut);
    } else {
      sequence.aborted = true;
      sequence.abort_outcome = Outcome::kTimedOut;
    }
  }
  if (!deadlines_.empty()) deadline_timer_.set(deadlines_.front().at);
}

void Frontend::close(Seconds now) {
  refresh_timer_.cancel();
  ended_ = nullptr;
  for (const auto& engine : engines_) engine->stop(now);
  for (const auto& sequence : sequences_) {
    if (sequence->record.id < 0) continue;
    RequestRecord record = sequence->record;
    if (record.first_token >= Seconds(0))
      record.output_tokens =
          engines_[static_cast<std::size_t>(record.replica)]->given_out(*sequence);
    record.outcome = Outcome::kUnfinished;
    record.ended = now;
    recorder_.finished(record);
  }
}

std::vector<ResourceUse> Frontend::resources() const {
  std::vector<ResourceUse> out;
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    ResourceUse gpu;
    gpu.name = "gpu-" + std::to_string(i);
    gpu.kind = "gpu";
    gpu.busy = engines_[i]->busy();
    out.push_back(gpu);
    out.push_back(api_servers_[i].use());
  }
  return out;
}

}  // namespace kvsim
