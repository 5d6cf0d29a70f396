// What a run says about its cases: one number for each measurement of a case, or, for a case that
// was not measured, for the latencies and the throughput that one would ask for first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/study.hpp"

namespace kvsim {

struct Prediction {
  std::size_t of_case = 0;  // index into the cases
  std::string metric;
  std::string stat;
  std::string unit;
  std::optional<double> predicted;  // none: no such metric here, or no request counted
  std::optional<double> actual;     // none: not measured
  std::string flag;                 // of the measurement

  // Predicted against actual, in per cent; nothing unless both are there and actual is not 0.
  [[nodiscard]] std::optional<double> signed_percent() const;
};

// For each case what is to be predicted, in the order of the measurements.
[[nodiscard]] std::vector<std::vector<Prediction>> wanted_predictions(
    const std::vector<ValidationCase>& cases, const std::vector<Measurement>& measurements);

// Of the run's chosen cases; `stages` as many as the run's levels, empty (without requests) for
// those that were not run. A case that is the best of its levels gets a further row `peak_level`.
[[nodiscard]] std::vector<Prediction> predict(const PlannedRun& run,
                                              const std::vector<StageOutcome>& stages,
                                              const std::vector<std::vector<Prediction>>& wanted);

// predictions.csv; ordered by case, then as measured.
void write_predictions(const std::string& file, const std::vector<ValidationCase>& cases,
                       std::vector<Prediction> predictions);

// To keep counted runs: indices of cases become their names.
[[nodiscard]] Json predictions_json(const std::vector<Prediction>& predictions,
                                    const std::vector<ValidationCase>& cases);
// Predictions of cases that are not among `cases` are left out.
[[nodiscard]] std::vector<Prediction> read_predictions(const Json& json,
                                                       const std::vector<ValidationCase>& cases);

}  // namespace kvsim
