// A quantile of values that are few and sorted; of long streams see sim/base/stats.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace kvsim {

// By linear interpolation at rank share * (n - 1); `ascending` is not empty, `share` in [0, 1].
[[nodiscard]] inline double quantile(const std::vector<double>& ascending, double share) {
  const double rank = share * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const double weight = rank - static_cast<double>(below);
  return ascending[below] * (1 - weight) + ascending[above] * weight;
}

}  // namespace kvsim
