// How fast Mooncake's Transfer Engine moves one object or many: slices of 64 KiB over all NICs, so
// that even one object uses them all.
//
// Source: spec/mooncake.md section 1 (FAST'25 paper): 87 of 100 GB/s on 4 x 200 Gbit/s, 190 of 400
// GB/s on 8 x 400 Gbit/s, where the host's PCIe and memory are the limit.
#pragma once

#include <algorithm>

#include "sim/base/units.hpp"

namespace kvsim {

inline constexpr Bytes kMooncakeSlice{64 * 1024};
inline constexpr double kMooncakeEfficiency = 0.85;
inline constexpr Bandwidth kMooncakeHost{190e9};

// Of `nics` NICs of that rate each, many transfers at a time or one large one.
inline Bandwidth mooncake_rate(std::int64_t nics, Bandwidth each) {
  const double all = kMooncakeEfficiency * static_cast<double>(nics) * each.count();
  return Bandwidth(std::min(all, kMooncakeHost.count()));
}

// An object of few slices leaves NICs idle.
inline std::int64_t mooncake_nics_used(Bytes object, std::int64_t nics) {
  return std::clamp<std::int64_t>(groups_of(object.count(), kMooncakeSlice.count()), 1, nics);
}

}  // namespace kvsim
