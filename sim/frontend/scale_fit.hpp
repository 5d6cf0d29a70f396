// Least squares over few points: what autoscalers fit profiles and loads with.
#pragma once

#include <span>

namespace kvsim {

// y = base + slope x.
struct Line {
  double base = 0;
  double slope = 0;
  [[nodiscard]] double at(double x) const { return base + slope * x; }
};

struct FitPoint {
  double x = 0;
  double z = 0;  // the second variable of a plane
  double y = 0;
};

// Without spread in x (one point, say): a level line at the mean. At least one sample.
Line fit_line(std::span<const FitPoint> samples);

// y = base + by_x x + by_z z.
struct Plane {
  double base = 0;
  double by_x = 0;
  double by_z = 0;
  [[nodiscard]] double at(double x, double z) const { return base + by_x * x + by_z * z; }
};

// A variable without spread gets no slope. At least one sample.
Plane fit_plane(std::span<const FitPoint> samples);

}  // namespace kvsim
