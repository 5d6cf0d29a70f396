// {mean, p50, p90, p95, p99, max} of Percentiles or a Sketch; nulls when they are empty.
#pragma once

#include <array>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

template <class Values>
[[nodiscard]] Json distribution_json(const Values& values) {
  static constexpr std::array kQuantiles{0.5, 0.9, 0.95, 0.99};
  if (values.count() == 0) {
    return {{"mean", nullptr}, {"p50", nullptr}, {"p90", nullptr},
            {"p95", nullptr},  {"p99", nullptr}, {"max", nullptr}};
  }
  const std::vector<double> at = values.quantiles(kQuantiles);
  return {{"mean", values.mean()}, {"p50", at[0]}, {"p90", at[1]},
          {"p95", at[2]},          {"p99", at[3]}, {"max", values.max()}};
}

}  // namespace kvsim
