// Whether a disk keeps up its writes: drives take the first gigabytes into a faster part of their
// flash, volumes have credit.
#pragma once

#include "sim/probe/bench_disk_file.hpp"
#include "sim/probe/sample.hpp"

namespace kvsim {

// Writes the file over and over until `operation.bytes` are written, a minute is over, or the rate
// has fallen. The sample is of all that was written, which is its operation's bytes; extra:
// first_bytes_per_s, and where it fell last_bytes_per_s and full_rate_bytes, those written before.
Sample write_until_slow(DiskFile& file, const BenchOperation& operation);

// The same of bytes written in each of equal periods.
struct WriteDecline {
  double first = 0;   // per period
  double last = 0;    // 0 = it did not fall
  double before = 0;  // bytes
};
WriteDecline decline_of(const std::vector<double>& periods);

}  // namespace kvsim
