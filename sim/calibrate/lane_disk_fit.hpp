// The law that the nvme plug-in follows when equal requests are in flight all the time, and its
// constants from measured times.
//
//   t(n, q) = max(L(n) + w(n) + s (q - 1) w1(n), q w(n))
//   w(n) = max(m, h) + s min(m, h), m = n / bytes_per_s, h = requests(n) / iops
//   w1(n): w of at most one request of the kernel; s = serial_share
//   L(n) = latency + large_read_s * (0 at 128 KiB and below ... 1 at 1 MiB and above), reads only
//
// With s > 0 the plug-in is up to half slower with two to four in flight that stay in step.
//
// Fitted to medians by the sum of absolute relative errors: single samples of a shared machine must
// not matter. Where a constant does not show in any sample, the least rate that was seen stands.
#pragma once

#include <vector>

#include "sim/base/json.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/sample.hpp"

namespace kvsim {

struct DiskLaw {
  struct Way {
    double bytes_per_s = 0;
    double iops = 0;
    double latency = 0;  // seconds
    double large = 0;    // large_read_s; writes have none
  };
  Way read;
  Way write;
  double serial_share = 0;
  double request_bytes = 524'288;

  [[nodiscard]] const Way& way(bool is_write) const { return is_write ? write : read; }
  // Device time of a request, and of the part that one behind it waits for.
  [[nodiscard]] double work(bool is_write, double bytes) const;
  [[nodiscard]] double lone_wait(bool is_write, double bytes) const;
  [[nodiscard]] double seconds(bool is_write, double bytes, double at_once) const;
  // Of a mix of small requests with this share of reads; mean of both.
  [[nodiscard]] double mixed_seconds(double reads, double bytes, double at_once,
                                     double penalty) const;
};

struct DiskFit {
  bool has_reads = false;
  bool has_writes = false;
  std::vector<FittedFigure> figures;  // paths below /disk
};

// Samples of a disk bench; others are passed over. request_bytes: as the kernel cuts.
DiskFit fit_disk(const std::vector<Sample>& samples, double request_bytes);

}  // namespace kvsim
