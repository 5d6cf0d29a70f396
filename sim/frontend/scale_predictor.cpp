#include "sim/frontend/scale_predictor.hpp"

#include <algorithm>

namespace kvsim {

namespace {
// Dynamo's minimum_data_points.
constexpr std::size_t kLeastValues = 5;
}  // namespace

LoadPredictor::LoadPredictor(const std::string& kind, std::int64_t window)
    : autoregressive_(kind == "autoregressive"), window_(static_cast<std::size_t>(window)) {}

void LoadPredictor::add(double value) {
  if (values_.size() == window_) values_.erase(values_.begin());
  values_.push_back(value);
}

double LoadPredictor::next() const {
  if (values_.empty()) return 0;
  const double last = values_.back();
  if (!autoregressive_ || values_.size() < kLeastValues) return std::max(0.0, last);
  std::vector<FitPoint> steps;
  for (std::size_t i = 1; i < values_.size(); ++i)
    steps.push_back({.x = values_[i - 1], .y = values_[i]});
  Line line = fit_line(steps);
  const double factor = std::clamp(line.slope, -1.0, 1.0);
  if (factor != line.slope) {
    // The intercept that fits best with that factor.
    double sum = 0;
    for (const FitPoint& step : steps) sum += step.y - factor * step.x;
    line = {.base = sum / static_cast<double>(steps.size()), .slope = factor};
  }
  return std::max(0.0, line.at(last));
}

}  // namespace kvsim
