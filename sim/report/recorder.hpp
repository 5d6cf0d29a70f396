// What a run's requests add up to: counts, latencies, hits. Fed by the frontend and the engines,
// read once at the end by summary.hpp.
//
// Memory: at most 16 bytes per finished request, none beyond the first million (percentiles then
// come from sketches). Cost: a few nanoseconds per gap, well under a microsecond per request.
//
// Definitions: time to first token (ttft) = first_token - sent; e2e = ended - sent; tpot =
// (e2e - ttft) / (output - 1) for answers of more than one token; itl = the gaps between tokens.
// A request whose client gave up counts with the time at which it did, in `with_timeouts` only.
#pragma once

#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/base/stats.hpp"
#include "sim/report/request_record.hpp"
#include "sim/report/request_sink.hpp"

namespace kvsim {

std::string_view outcome_name(Outcome outcome);

// Which requests are measured: those sent (kArrived) or ended (kCompleted, as GuideLLM does) in
// [warmup, warmup + duration). The counts of all requests cover the whole run in any case.
struct MeasureWindow {
  enum class By { kArrived, kCompleted };
  Seconds warmup{0};
  Seconds duration{std::numeric_limits<double>::infinity()};
  By by = By::kArrived;

  [[nodiscard]] bool contains(Seconds at) const { return at >= warmup && at - warmup < duration; }
  // Its length when the run ended at `end`; 0 when it never opened.
  [[nodiscard]] Seconds length(Seconds end) const;
};

// Bounds a request has to keep to count as good.
struct Slo {
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;
};

// Of the whole run. `unfinished` = arrived less all others.
struct RequestCounts {
  std::int64_t arrived = 0;
  std::int64_t completed = 0;
  std::int64_t refused = 0;
  std::int64_t failed = 0;
  std::int64_t timed_out = 0;
  std::int64_t given_up = 0;     // unfinished ones that nobody waits for any more
  std::int64_t preempted = 0;    // requests that were, at least once
  std::int64_t preemptions = 0;  // how often, all together
  std::int64_t most_in_flight = 0;
  [[nodiscard]] std::int64_t ended() const { return completed + refused + failed + timed_out; }
  [[nodiscard]] std::int64_t unfinished() const { return arrived - ended(); }
  [[nodiscard]] std::int64_t in_flight() const { return unfinished() - given_up; }
};

// Sums over the measured requests.
struct MeasuredTotals {
  std::int64_t requests = 0;  // measured, whatever their outcome
  std::int64_t completed = 0;
  std::int64_t input_tokens = 0;   // of completed requests
  std::int64_t output_tokens = 0;  // of completed requests
  // Of requests that began to be served: with a first token.
  std::int64_t prompt_tokens = 0;
  std::array<std::int64_t, 4> hit_tokens{};
  // Parts of the time to first token, of completed requests.
  Seconds queue{0};
  Seconds lookup{0};
  Seconds fetch{0};
  std::array<Seconds, 6> fetch_stages{};
  Seconds prefill{0};
  Seconds other{0};
  // Requests that kept the SLO, and those that could be judged. Refused, failed and timed-out ones
  // missed it; an unfinished one missed it once its first token is overdue, else it is not judged.
  std::int64_t good = 0;
  std::int64_t judged = 0;
};

struct LatencySet {
  Percentiles ttft;
  Percentiles tpot;
  Percentiles e2e;
  Percentiles queue;
};

// Measured from the intended arrival instead of the sending time, so that a client that waits
// before it sends hides nothing (coordinated omission).
struct IntendedSet {
  Sketch ttft;
  Sketch e2e;
  Sketch queue;
};

class Recorder {
 public:
  explicit Recorder(MeasureWindow window = {}, Slo slo = {},
                    std::size_t exact_limit = Percentiles::kExactLimit);

  // `sink` must outlive the last call of finished().
  void add_sink(RequestSink& sink) { sinks_.push_back(&sink); }

  // A request was sent.
  void arrived();
  // A request that had arrived came to its end, or the run did.
  void finished(const RequestRecord& record);
  // `sequences` decoding requests waited `step` for their next token. The first form counts
  // whatever the window, the second only when `at` (when the tokens came) lies in it.
  void gap(Seconds step, std::int64_t sequences) { gaps_.add(step.count(), sequences); }
  void gap(Seconds step, std::int64_t sequences, Seconds at) {
    if (window_.contains(at)) gap(step, sequences);
  }

  [[nodiscard]] const MeasureWindow& window() const { return window_; }
  [[nodiscard]] const Slo& slo() const { return slo_; }
  [[nodiscard]] const RequestCounts& counts() const { return counts_; }
  [[nodiscard]] const MeasuredTotals& measured() const { return measured_; }
  [[nodiscard]] const LatencySet& completed() const { return completed_; }
  [[nodiscard]] const LatencySet& timed_out() const { return timed_out_; }
  [[nodiscard]] const IntendedSet& intended() const { return intended_; }
  [[nodiscard]] const Sketch& gaps() const { return gaps_; }

 private:
  void count(const RequestRecord& record);
  void measure(const RequestRecord& record);
  void judge(const RequestRecord& record);
  void keep_latency(const RequestRecord& record);

  MeasureWindow window_;
  Slo slo_;
  std::size_t exact_limit_;
  std::vector<RequestSink*> sinks_;
  RequestCounts counts_;
  MeasuredTotals measured_;
  LatencySet completed_;
  LatencySet timed_out_;
  IntendedSet intended_;  // completed requests
  Sketch gaps_;
};

// Time per output token after the first; none for answers of one token or no first token.
std::optional<Seconds> time_per_output_token(const RequestRecord& record);

}  // namespace kvsim
