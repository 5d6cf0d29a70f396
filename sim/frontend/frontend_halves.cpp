// Requests whose prompt is computed by one replica and whose answer by another.
#include "sim/frontend/frontend.hpp"

namespace kvsim {

using Place = Flight::Place;

void Frontend::begin_prefill(Flight& flight, const Dispatcher::Route& route, Seconds now) {
  Flight& half = acquire();
  half.request = flight.request;
  half.request.output = Tokens(1);
  half.prefill_half = true;
  half.kept_for_remote = true;
  half.number = ++numbers_;
  half.record.id = flight.record.id;
  half.record.sent = flight.record.sent;
  half.prompt_tokens = flight.prompt_tokens;
  if (options_.disaggregation.first_token == "prefill") take_first_token(flight);
  half.other_half = &flight;
  flight.other_half = &half;
  flight.remote_number = half.number;
  flight.prefill_replica = route.prefill->index;
  flight.replica = route.replica;
  flight.choice = route.choice;
  // The decode replica's load is counted from now on: its router has chosen it.
  dispatcher(flight).sent(flight);
  ++route.replica->in_flight;
  if (options_.disaggregation.together && transfers_ != nullptr)
    transfers_->expect(route.prefill->index, half.number);
  send(half, *route.prefill, route.prefill_choice, now);
  flight.place = Place::kPrefill;
  if (options_.disaggregation.together) send(flight, *route.replica, route.choice, now);
}

// The decode half knows the first answer token as a part of its prompt, and goes on from it.
void Frontend::take_first_token(Flight& flight) {
  Request& asked = flight.request;
  if (asked.output.count() == 1) return;
  flight.taken = 1;
  if (asked.answer.empty()) asked.answer = {{asked.answer_stream, 0, asked.output.count()}};
  ContentRun& first = asked.answer.front();
  append_run(asked.prompt, {first.stream, first.offset, 1});
  ++first.offset;
  if (--first.length == 0) asked.answer.erase(asked.answer.begin());
  asked.input += Tokens(1);
  asked.output -= Tokens(1);
  ++flight.prompt_tokens;
}

void Frontend::give_back_first_token(Request& request) {
  ContentRun& last = request.prompt.back();
  const ContentRun token{last.stream, last.offset + last.length - 1, 1};
  if (--last.length == 0) request.prompt.pop_back();
  request.answer.insert(request.answer.begin(), token);
  request.input -= Tokens(1);
  request.output += Tokens(1);
}

// The prompt's KV is there, or will never be.
void Frontend::prefill_ended(Flight& half, Outcome outcome, Seconds now) {
  if (half.other_half == nullptr) {  // the request has ended without it
    leave_replica(half, now);
    return recycle(half);
  }
  Flight& flight = *half.other_half;
  flight.prefill_hits = hits_of(half);
  leave_replica(half, now);
  flight.other_half = nullptr;
  const bool waiting = flight.place == Place::kPrefill;
  recycle(half);
  if (outcome != Outcome::kCompleted) {
    if (transfers_ != nullptr) transfers_->cancel(flight.prefill_replica, flight.remote_number);
    if (!waiting) return stop(flight, outcome, now);
    if (outcome == Outcome::kFailed && !flight.aborted) return fail(flight, now);
    return finish(flight, flight.aborted ? flight.abort_outcome : outcome, now);
  }
  if (!waiting) return;
  if (flight.aborted) return finish(flight, flight.abort_outcome, now);
  const bool all_there = flight.answered > 0 && flight.taken == 0;
  if (all_there) {
    flight.record.hit_tokens = flight.prefill_hits;
    return finish(flight, Outcome::kCompleted, now);
  }
  wait_until(flight, now + options_.disaggregation.handover);
}

// The request's end does not wait for that of its prefill half.
void Frontend::part_from_half(Flight& flight) {
  if (flight.other_half != nullptr) flight.other_half->other_half = nullptr;
  flight.other_half = nullptr;
}

// Adds what a half has spent until its first token to the request's record.
void Frontend::take_parts(const Flight& flight, Seconds engine_time, RequestRecord& record) {
  const Seconds lookups_since = flight.lookup_time - flight.lookup_before;
  const Seconds since_scheduled = engine_time - flight.first_scheduled;
  record.lookup += flight.lookup_time;
  record.prefill += since_scheduled - (flight.record.fetch - flight.fetched_before) - lookups_since;
  record.queue += flight.first_scheduled - flight.received - flight.lookup_before -
                  (flight.fetched_before - flight.fetched_by_half);
  if (&record == &flight.record) return;
  record.fetch += flight.record.fetch;
  for (std::size_t i = 0; i < record.fetch_stages.size(); ++i)
    record.fetch_stages[i] += flight.record.fetch_stages[i];
}

void Frontend::split_time_to_first_token(Flight& flight, Seconds engine_time) {
  RequestRecord& record = flight.record;
  take_parts(flight, engine_time, record);
  // Sent together, the second half waits while the first one computes.
  if (flight.prompt_computed > flight.received)
    record.queue -= std::min(record.queue, flight.prompt_computed - flight.received);
  const bool whole = flight.remote_number < 0 && flight.attempts == 1;
  record.other = whole ? (flight.received - record.sent) + (record.first_token - engine_time)
                       : record.first_token - record.sent - record.queue - record.lookup -
                             record.fetch - record.prefill;
}

}  // namespace kvsim
