// How requests end before their answer does: time-outs of their clients, stages that are given up,
// the end of the run.
#include "sim/base/check.hpp"
#include "sim/frontend/frontend.hpp"

namespace kvsim {

using Place = Flight::Place;

bool Frontend::has_given_up(const RequestRecord& record, Seconds at) const {
  return options_.client_timeout > Seconds(0) && at > record.sent + options_.client_timeout;
}

bool Frontend::gives_up_at(const RequestRecord& record, Seconds at) const {
  return options_.client_timeout > Seconds(0) && at >= record.sent + options_.client_timeout;
}

void Frontend::watch_deadline(Flight& flight) {
  deadlines_.push_back({world_.now() + options_.client_timeout, &flight, flight.record.id});
  if (!deadline_timer_.pending()) deadline_timer_.set(deadlines_.front().at);
}

void Frontend::give_up(Seconds now) {
  while (!deadlines_.empty()) {
    const Deadline deadline = deadlines_.front();
    const bool live = deadline.flight->record.id == deadline.id;
    if (live && deadline.at > now) break;
    deadlines_.pop_front();
    if (live) stop(*deadline.flight, Outcome::kTimedOut, now);
  }
  if (!deadlines_.empty()) deadline_timer_.set(deadlines_.front().at);
}

void Frontend::stop(Flight& flight, Outcome outcome, Seconds now) {
  if (flight.aborted) {
    if (outcome == Outcome::kTimedOut) flight.abort_outcome = outcome;
    return;
  }
  switch (flight.place) {
    case Place::kGateway:
    case Place::kLookup:
    case Place::kRetry:  // nobody else has it
      return finish(flight, outcome, now);
    case Place::kEngine:
      flight.replica->engine->abort(flight, outcome);
      break;
    case Place::kHeld:
      dispatcher(flight).gone(flight.number);
      held_.erase(flight.number);
      return finish(flight, outcome, now);
    case Place::kPrefill:
      flight.aborted = true;
      flight.abort_outcome = outcome;
      break;
    default:  // when what it waits for is over
      flight.aborted = true;
      flight.abort_outcome = outcome;
  }
  if (flight.other_half != nullptr && !flight.prefill_half) stop(*flight.other_half, outcome, now);
}

void Frontend::cancel(std::int32_t stage) {
  const Seconds now = world_.now();
  for (const auto& replica : replicas_) replica->engine->catch_up(now);
  // Nobody asks for anything new meanwhile, but what ends leaves its place.
  for (const auto& flight : flights_) {
    if (flight->record.id < 0 || flight->prefill_half || flight->cancelled ||
        flight->record.stage != stage)
      continue;
    recorder_.finished(record_of_cancelled(*flight, now));
    flight->cancelled = true;
    stop(*flight, Outcome::kUnfinished, now);
  }
}

// As its client has seen it until `now`.
RequestRecord Frontend::record_of_cancelled(const Flight& flight, Seconds now) const {
  RequestRecord record = flight.record;
  record.outcome = Outcome::kUnfinished;
  record.ended = now;
  if (gives_up_at(record, now)) {
    record.outcome = Outcome::kTimedOut;
    record.ended = record.sent + options_.client_timeout;
  }
  if (record.first_token > now) record.first_token = Seconds(-1);  // still on its way
  const bool served = flight.place == Place::kEngine;
  if (record.first_token >= Seconds(0))
    record.output_tokens =
        flight.answered + (served ? flight.replica->engine->given_out(flight) : 0);
  if (served) record.hit_tokens = flight.remote_number < 0 ? hits_of(flight) : flight.prefill_hits;
  return record;
}

void Frontend::check_books() const {
  std::vector<std::int64_t> at(replicas_.size(), 0);
  std::int64_t requests = 0;
  for (const auto& flight : flights_) {
    if (flight->record.id < 0) continue;
    if (!flight->prefill_half) ++requests;
    if (flight->replica != nullptr) ++at[static_cast<std::size_t>(flight->replica->index)];
  }
  KV_CHECK(requests == in_flight_, "{} requests in flight, {} counted", requests, in_flight_);
  std::int64_t sent = 0;
  for (const auto& replica : replicas_) {
    const std::int64_t has = at[static_cast<std::size_t>(replica->index)];
    KV_CHECK(has == replica->in_flight, "{} has {} requests, {} counted", replica->facts.name, has,
             replica->in_flight);
    sent += has;
  }
  std::int64_t held = 0;
  for (const auto& dispatcher : dispatchers_) {
    sent -= dispatcher->in_flight();
    held += dispatcher->held();
  }
  KV_CHECK(sent == 0, "{} more requests are at replicas than dispatchers know of", sent);
  KV_CHECK(held == static_cast<std::int64_t>(held_.size()), "{} held, {} counted", held,
           held_.size());
}

void Frontend::close(Seconds now) {
  check_books();
  ended_ = nullptr;
  idle_ = nullptr;
  for (const auto& dispatcher : dispatchers_) dispatcher->close();
  for (const auto& replica : replicas_) {
    replica->engine->stop(now);
  }
  for (const auto& flight : flights_) {
    if (flight->record.id < 0 || flight->prefill_half || flight->cancelled) continue;
    RequestRecord record = flight->record;
    if (record.first_token >= Seconds(0))
      record.output_tokens =
          flight->answered +
          (flight->place == Place::kEngine ? flight->replica->engine->given_out(*flight) : 0);
    record.outcome = Outcome::kUnfinished;
    record.ended = now;
    recorder_.finished(record);
  }
}

}  // namespace kvsim
