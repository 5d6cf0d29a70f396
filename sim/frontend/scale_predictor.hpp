// The next value of a series that is observed once an interval: requests, their lengths.
//
// Dynamo's planner offers constant, ARIMA, Prophet and a Kalman filter (spec/dynamo.md section 6).
// Here: `constant`, and `autoregressive` in place of the others, a first-order autoregression
// x' = c + f x by least squares over a window, |f| <= 1 so that it cannot run away. It follows
// level, trend and reversion to the mean; it knows no season.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/frontend/scale_fit.hpp"

namespace kvsim {

class LoadPredictor {
 public:
  // `kind` is one of kinds(); `window`: how many values back it looks, > 1.
  LoadPredictor(const std::string& kind, std::int64_t window);
  static std::vector<std::string> kinds() { return {"constant", "autoregressive"}; }

  void add(double value);
  // The last value until there are five; never below zero. 0 without any.
  [[nodiscard]] double next() const;

 private:
  bool autoregressive_;
  std::size_t window_;
  std::vector<double> values_;  // oldest first
};

}  // namespace kvsim
