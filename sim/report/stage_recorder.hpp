// What the requests of each stage of an experiment add up to: "stages" in the summary.
//
// Memory: at most 240 KB a stage, and then sketches (as report/recorder.hpp).
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/report/recorder.hpp"
#include "sim/report/request_sink.hpp"

namespace kvsim {

// One stage as it was simulated. Times are simulated seconds from the run's start; infinite as long
// as they are not known.
struct StageSpan {
  std::string name;
  Seconds begin{std::numeric_limits<double>::infinity()};
  Seconds end{std::numeric_limits<double>::infinity()};
  Seconds duration{0};  // asked for; 0 = until its requests were done
  [[nodiscard]] bool begun() const {
    return begin.count() < std::numeric_limits<double>::infinity();
  }
};

class StageRecorder final : public RequestSink {
 public:
  // `spans` grow known as the run goes on; must outlive this.
  explicit StageRecorder(const std::vector<StageSpan>& spans);

  void finished(const RequestRecord& record) override;
  void close(const Json&) override {}

  // [{name, begin_s, end_s, duration_s, requests {sent, completed, refused, failed, timed_out,
  // unfinished}, throughput {requests_per_s, output_tokens_per_s}, latency_s {ttft, tpot, e2e}}].
  // Requests and latencies (of completed ones) are of the requests that the stage sent, whenever
  // they ended; throughput is of those completed by the stage's end, over its length.
  [[nodiscard]] Json json() const;

 private:
  struct Totals {
    std::int64_t sent = 0;
    std::int64_t refused = 0;
    std::int64_t failed = 0;
    std::int64_t timed_out = 0;
    std::int64_t unfinished = 0;
    std::int64_t completed = 0;
    std::int64_t completed_in_time = 0;
    std::int64_t output_tokens_in_time = 0;
    Percentiles ttft;
    Percentiles tpot;
    Percentiles e2e;
  };

  const std::vector<StageSpan>& spans_;
  std::vector<Totals> totals_;
};

}  // namespace kvsim
