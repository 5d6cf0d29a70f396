#include "sim/frontend/scale_fit.hpp"

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// Means, and sums of products of what deviates from them.
struct Moments {
  double x = 0, z = 0, y = 0;
  double xx = 0, zz = 0, xz = 0, xy = 0, zy = 0;
};

Moments moments_of(std::span<const FitPoint> samples) {
  KV_CHECK(!samples.empty());
  Moments m;
  const auto n = static_cast<double>(samples.size());
  for (const FitPoint& sample : samples) {
    m.x += sample.x / n;
    m.z += sample.z / n;
    m.y += sample.y / n;
  }
  for (const FitPoint& sample : samples) {
    const double x = sample.x - m.x;
    const double z = sample.z - m.z;
    const double y = sample.y - m.y;
    m.xx += x * x;
    m.zz += z * z;
    m.xz += x * z;
    m.xy += x * y;
    m.zy += z * y;
  }
  return m;
}

}  // namespace

Line fit_line(std::span<const FitPoint> samples) {
  const Moments m = moments_of(samples);
  const double slope = m.xx > 0 ? m.xy / m.xx : 0;
  return {.base = m.y - slope * m.x, .slope = slope};
}

Plane fit_plane(std::span<const FitPoint> samples) {
  const Moments m = moments_of(samples);
  const double determinant = m.xx * m.zz - m.xz * m.xz;
  Plane plane;
  // Relative to what it would be if the two had nothing to do with each other.
  if (determinant > 1e-12 * m.xx * m.zz) {
    plane.by_x = (m.xy * m.zz - m.zy * m.xz) / determinant;
    plane.by_z = (m.zy * m.xx - m.xy * m.xz) / determinant;
  } else if (m.xx > 0) {
    plane.by_x = m.xy / m.xx;
  } else if (m.zz > 0) {
    plane.by_z = m.zy / m.zz;
  }
  plane.base = m.y - plane.by_x * m.x - plane.by_z * m.z;
  return plane;
}

}  // namespace kvsim
