// The link to host memory from copy samples of our own probe.
//
//   alone      rate of the fastest large copy of each direction
//   both       rate of each direction while the other is busy, by half of the bytes each
//   small      rate of copies made of small descriptors, so that
//              descriptors * descriptor_s + bytes / rate(descriptor size) gives the measured median
//
// Submitting one descriptor costs the processor what the base profile says, unless the measured
// copies were faster than that. Leaves out the switch limit: it takes several GPUs.
#pragma once

#include <vector>

#include "sim/calibrate/operator_table.hpp"
#include "sim/calibrate/step_fit.hpp"
#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

// Adds a report with block "host_link" when the copies gave anything.
void fit_host_link(const std::vector<CopyTiming>& copies, HostLink& link,
                   std::vector<FitReport>& reports);

}  // namespace kvsim
