#include "sim/report/recorder.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

bool has_first_token(const RequestRecord& record) { return record.first_token >= Seconds(0); }

void check_parts(const RequestRecord& record) {
  const Seconds ttft = record.first_token - record.sent;
  const Seconds parts = record.queue + record.lookup + record.fetch + record.prefill + record.other;
  KV_CHECK(std::abs((ttft - parts).count()) <= 1e-6 + 1e-9 * ttft.count(),
           "request {}: parts of the time to first token add up to {} s, not to {} s", record.id,
           parts.count(), ttft.count());
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return "completed";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kTimedOut:
      return "timed_out";
    case Outcome::kUnfinished:
      return "unfinished";
  }
  KV_CHECK(false, "outcome {}", static_cast<int>(outcome));
}

std::optional<Seconds> time_per_output_token(const RequestRecord& record) {
  if (!has_first_token(record) || record.output_tokens <= 1) return std::nullopt;
  return (record.ended - record.first_token) / static_cast<double>(record.output_tokens - 1);
}

Seconds MeasureWindow::length(Seconds end) const {
  return std::max(std::min(duration, end - warmup), Seconds(0));
}

Recorder::Recorder(MeasureWindow window, Slo slo, std::size_t exact_limit)
    : window_(window), slo_(slo), exact_limit_(exact_limit) {}

void Recorder::arrived() {
  ++counts_.arrived;
  counts_.most_in_flight = std::max(counts_.most_in_flight, counts_.in_flight());
}

void Recorder::finished(const RequestRecord& record) {
  count(record);
  const bool by_arrival = window_.by == MeasureWindow::By::kArrived;
  if (window_.contains(by_arrival ? record.sent : record.ended)) measure(record);
  for (RequestSink* sink : sinks_) sink->finished(record);
}

void Recorder::count(const RequestRecord& record) {
  switch (record.outcome) {
    case Outcome::kCompleted:
      ++counts_.completed;
      break;
    case Outcome::kRefused:
      ++counts_.refused;
      break;
    case Outcome::kFailed:
      ++counts_.failed;
      break;
    case Outcome::kTimedOut:
      ++counts_.timed_out;
      break;
    case Outcome::kUnfinished:
      ++counts_.given_up;
      break;
  }
  KV_CHECK(counts_.in_flight() >= 0, "request {} ended before it arrived", record.id);
  counts_.preempted += record.preemptions > 0 ? 1 : 0;
  counts_.preemptions += record.preemptions;
}

void Recorder::measure(const RequestRecord& record) {
  ++measured_.requests;
  judge(record);
  if (has_first_token(record)) {
    check_parts(record);
    measured_.prompt_tokens += record.input_tokens;
    for (std::size_t tier = 0; tier < record.hit_tokens.size(); ++tier)
      measured_.hit_tokens[tier] += record.hit_tokens[tier];
  }
  if (record.outcome == Outcome::kCompleted) {
    KV_CHECK(has_first_token(record), "request {} completed without a token", record.id);
    ++measured_.completed;
    measured_.input_tokens += record.input_tokens;
    measured_.output_tokens += record.output_tokens;
    measured_.queue += record.queue;
    measured_.lookup += record.lookup;
    measured_.fetch += record.fetch;
    for (std::size_t i = 0; i < record.fetch_stages.size(); ++i)
      measured_.fetch_stages[i] += record.fetch_stages[i];
    measured_.prefill += record.prefill;
    measured_.other += record.other;
    const Seconds late = record.sent - record.intended;
    intended_.ttft.add((record.first_token - record.intended).count());
    intended_.e2e.add((record.ended - record.intended).count());
    intended_.queue.add((record.queue + late).count());
  }
  keep_latency(record);
}

void Recorder::judge(const RequestRecord& record) {
  const Seconds first = has_first_token(record) ? record.first_token : record.ended;
  const bool ttft_kept = !slo_.ttft || first - record.sent <= *slo_.ttft;
  if (record.outcome == Outcome::kUnfinished && ttft_kept) return;
  ++measured_.judged;
  if (record.outcome != Outcome::kCompleted || !ttft_kept) return;
  const std::optional<Seconds> tpot = time_per_output_token(record);
  if (slo_.tpot && tpot && *tpot > *slo_.tpot) return;
  ++measured_.good;
}

void Recorder::keep_latency(const RequestRecord& record) {
  const bool timed_out = record.outcome == Outcome::kTimedOut;
  if (!timed_out && record.outcome != Outcome::kCompleted) return;
  LatencySet& set = timed_out ? timed_out_ : completed_;
  const auto kept = static_cast<std::size_t>(completed_.e2e.count() + timed_out_.e2e.count());
  if (kept == exact_limit_) {
    for (LatencySet* each : {&completed_, &timed_out_}) {
      each->ttft.spill();
      each->tpot.spill();
      each->e2e.spill();
      each->queue.spill();
    }
  }
  const Seconds first = has_first_token(record) ? record.first_token : record.ended;
  set.ttft.add((first - record.sent).count());
  set.e2e.add((record.ended - record.sent).count());
  set.queue.add(record.queue.count());
  if (const std::optional<Seconds> tpot = time_per_output_token(record))
    set.tpot.add(tpot->count());
}

}  // namespace kvsim
