// From requests to the numbers that a load generator reports.
//
// Metrics have the names of the measurement rows. A study's rules say which requests count, over
// which time rates are taken, and where the study's word means something else than ours.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/report/request_record.hpp"

namespace kvsim {

// Where a study's metric is not what its name says: {"itl": {"as": "tpot", "factor": 0.5}}.
struct MetricMeaning {
  std::string as;
  double factor = 1;
  std::string median = "median";

  template <class F>
  void fields(F& f) {
    f.required("as", as, "A metric of ours.");
    f.optional("factor", factor, Range{1e-6, 1e6}, "Times this.");
    f.choice("median", median, {"median", "mean"}, "What is called median there.");
  }
};

struct CountingRules {
  std::string requests = "completed";
  std::string seconds = "span";
  // Of several stages: "together", or "mean": token rates are the mean of those of the stages.
  std::string token_rates = "together";
  std::map<std::string, MetricMeaning> metrics;
};

// One stage of a run, as it was simulated. Times are simulated seconds from the run's start.
struct StageOutcome {
  std::string name;
  Seconds begin{0};
  Seconds end{0};                       // the next stage begins, or the run ends
  Seconds duration{0};                  // asked for; 0 = until its requests were done
  std::vector<RequestRecord> requests;  // sent in this stage
};

// `metric` and `stat` (mean, median, p50, p90, p95, p99, max, total, count, rate; what follows an
// opening parenthesis is ignored, "-" and unknown words of a total are the total) of the stages
// taken together, in `unit` (s, ms, us, tok/s, req/s, req, tok, %, ...). Nothing for a metric that
// a simulation does not give, or when no request counts.
[[nodiscard]] std::optional<double> measure(const std::vector<const StageOutcome*>& stages,
                                            const CountingRules& rules, const std::string& metric,
                                            const std::string& stat, const std::string& unit);

// Whether measure() knows the metric at all.
[[nodiscard]] bool can_measure(const CountingRules& rules, const std::string& metric);

}  // namespace kvsim
