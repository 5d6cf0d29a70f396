// How fast a disk wears, from what a run wrote to it.
#pragma once

#include "sim/store/disk.hpp"

namespace kvsim {

struct DiskWear {
  double drive_writes_per_day = 0;  // by callers: what makers rate
  double rated_share = 0;           // of the rated ones; 0 = not rated
  double years = 0;                 // until the rated writes are spent; 0 = not rated or no writes
};

// `elapsed` > 0: simulated. A rating holds over `warranty_years` (five for data-centre drives) and
// has the drive's own amplification under its maker's workload in it, so callers' bytes count here
// and not flash bytes.
inline DiskWear wear_of(const DiskUse& use, Seconds elapsed, double warranty_years = 5) {
  constexpr double kDay = 86'400;
  DiskWear out;
  out.drive_writes_per_day = use.written.real() / use.capacity.real() / (elapsed.count() / kDay);
  if (use.rated_drive_writes_per_day <= 0) return out;
  out.rated_share = out.drive_writes_per_day / use.rated_drive_writes_per_day;
  if (out.rated_share > 0) out.years = warranty_years / out.rated_share;
  return out;
}

}  // namespace kvsim
