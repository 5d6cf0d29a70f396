// Bounds that errors must keep: "schema": "kvsim.validation-gates/1". A check for CI: accuracy that
// was reached is not lost unnoticed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/base/fields.hpp"
#include "sim/validate/error_table.hpp"

namespace kvsim {

// Rows of the error table that agree in all that is given must keep all bounds that are given.
struct ErrorGate {
  std::string by = "all";
  std::string name;
  std::string grade;
  std::string metric;
  std::optional<double> median;
  std::optional<double> p90;
  std::optional<double> worst;

  template <class F>
  void fields(F& f) {
    f.choice("by", by, {"all", "study", "gpu", "model"}, "Of which table.");
    f.optional("name", name, "Of the study, GPU or model. Default: every one.");
    f.optional("grade", grade, "A, B or other. Default: every one.");
    f.required("metric", metric, "Class of metrics: ttft, itl, e2e, throughput, ... tail.");
    f.optional("median_percent", median, Range{0, 1e6}, "Most that the median error may be.");
    f.optional("p90_percent", p90, Range{0, 1e6}, "Most that the 90th percentile may be.");
    f.optional("worst_percent", worst, Range{0, 1e6}, "Most that any error may be.");
  }
};

[[nodiscard]] std::vector<ErrorGate> read_error_gates(const ConfigNode& file);

// One line for each bound that is broken, or that nothing was measured for.
[[nodiscard]] std::vector<std::string> broken_gates(const std::vector<ErrorGate>& gates,
                                                    const std::vector<ErrorRow>& rows);

}  // namespace kvsim
