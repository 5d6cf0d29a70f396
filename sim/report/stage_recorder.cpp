#include "sim/report/stage_recorder.hpp"

#include <cmath>

#include "sim/report/distribution_json.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kExactValues = 20'000;  // each of three latencies of a stage

Json finite_or_null(Seconds at) { return std::isfinite(at.count()) ? Json(at.count()) : Json(); }

Json rate_or_null(std::int64_t count, Seconds length) {
  if (!(length > Seconds(0)) || !std::isfinite(length.count())) return nullptr;
  return static_cast<double>(count) / length.count();
}

}  // namespace

StageRecorder::StageRecorder(const std::vector<StageSpan>& spans) : spans_(spans) {
  for (std::size_t i = 0; i < spans.size(); ++i) {
    Totals totals;
    totals.ttft = totals.tpot = totals.e2e = Percentiles(kExactValues);
    totals_.push_back(std::move(totals));
  }
}

void StageRecorder::finished(const RequestRecord& record) {
  const auto stage = static_cast<std::size_t>(record.stage);
  Totals& totals = totals_[stage];
  ++totals.sent;
  switch (record.outcome) {
    case Outcome::kRefused:
      ++totals.refused;
      return;
    case Outcome::kFailed:
      ++totals.failed;
      return;
    case Outcome::kTimedOut:
      ++totals.timed_out;
      return;
    case Outcome::kUnfinished:
      ++totals.unfinished;
      return;
    case Outcome::kCompleted:
      break;
  }
  ++totals.completed;
  totals.ttft.add((record.first_token - record.sent).count());
  totals.e2e.add((record.ended - record.sent).count());
  if (const auto tpot = time_per_output_token(record)) totals.tpot.add(tpot->count());
  // The end is known before anything ends later than it.
  if (record.ended > spans_[stage].end) return;
  ++totals.completed_in_time;
  totals.output_tokens_in_time += record.output_tokens;
}

Json StageRecorder::json() const {
  Json out = Json::array();
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    const StageSpan& span = spans_[i];
    const Totals& totals = totals_[i];
    const Seconds length = span.end - span.begin;
    out.push_back(
        {{"name", span.name},
         {"begin_s", finite_or_null(span.begin)},
         {"end_s", finite_or_null(span.end)},
         {"duration_s", span.duration > Seconds(0) ? Json(span.duration.count()) : Json()},
         {"requests",
          {{"sent", totals.sent},
           {"completed", totals.completed},
           {"refused", totals.refused},
           {"failed", totals.failed},
           {"timed_out", totals.timed_out},
           {"unfinished", totals.unfinished}}},
         {"throughput",
          {{"requests_per_s", rate_or_null(totals.completed_in_time, length)},
           {"output_tokens_per_s", rate_or_null(totals.output_tokens_in_time, length)}}},
         {"latency_s",
          {{"ttft", distribution_json(totals.ttft)},
           {"tpot", distribution_json(totals.tpot)},
           {"e2e", distribution_json(totals.e2e)}}}});
  }
  return out;
}

}  // namespace kvsim
