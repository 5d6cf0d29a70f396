// How far a predicted distribution is from a measured one, and whether the same requests were the
// slow ones.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace kvsim {

struct DistributionError {
  static constexpr std::array<double, 4> kQuantiles = {0.10, 0.50, 0.90, 0.99};

  double kolmogorov = 0;  // largest difference of the two distribution functions, 0 to 1
  std::array<double, 4> signed_percent{};  // at kQuantiles: predicted against measured
  // Of ranks (Spearman), where the two lists are of the same requests in the same order; none
  // otherwise, or when all values of a list are equal.
  std::optional<double> rank_correlation;
};

// Neither list may be empty; measured quantiles must be above 0. `paired`: of the same requests in
// the same order, then of equal length. O(n log n).
[[nodiscard]] DistributionError distribution_error(std::span<const double> predicted,
                                                   std::span<const double> measured, bool paired);

// The values at 0, 1, ... 100 per cent. Not empty.
[[nodiscard]] std::vector<double> per_cent_points(std::span<const double> values);

}  // namespace kvsim
