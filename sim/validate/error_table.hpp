// How far predictions are off: by study, GPU, model and all together, for each class of metrics and
// each grade of completeness. Flagged measurements (overload, failures) are kept apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/prediction.hpp"

namespace kvsim {

struct ErrorSummary {
  std::size_t count = 0;
  double median = 0;  // of the absolute errors, per cent, as the three below
  double mean = 0;
  double p90 = 0;
  double worst = 0;
  double bias = 0;  // median of the signed errors
};

// Of signed errors in per cent; zeros for none.
[[nodiscard]] ErrorSummary summarise(std::vector<double> signed_percent);

struct ErrorRow {
  std::string by;     // all, study, gpu, model
  std::string name;   // of the study, ...; "" for all
  std::string grade;  // A (A and A-), B, other
  std::string metric;
  bool flagged = false;
  ErrorSummary errors;
};

// ttft, itl (and tpot), e2e (and what contains all of it per token), throughput or other; "...
// tail" for percentiles above the 75th and maxima.
[[nodiscard]] std::string metric_class(std::string_view metric, std::string_view stat);

// Rows with at least one error; ordered by `by`, flagged ones last.
[[nodiscard]] std::vector<ErrorRow> error_rows(const std::vector<ValidationCase>& cases,
                                               const std::vector<Prediction>& predictions);

[[nodiscard]] std::string error_table(const std::vector<ErrorRow>& rows);
[[nodiscard]] Json errors_json(const std::vector<ErrorRow>& rows);

}  // namespace kvsim
