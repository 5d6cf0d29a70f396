// What devices have in common: room, what a caller keeps in flight, and a reserve that makes the
// first bytes of a burst faster than those after it.
#pragma once

#include <algorithm>

#include "sim/store/disk.hpp"

namespace kvsim {

class DiskSpace {
 public:
  explicit DiskSpace(Bytes capacity) : capacity_(capacity) {}
  [[nodiscard]] bool take(Bytes bytes);
  void give(Bytes bytes);
  [[nodiscard]] Bytes capacity() const { return capacity_; }
  [[nodiscard]] Bytes used() const { return used_; }

 private:
  Bytes capacity_;
  Bytes used_{0};
};

// How one call reaches the device.
struct InFlight {
  Bytes request{0};           // size of one, at most the call's
  Bytes window{0};            // all that are in flight at a time
  std::int64_t requests = 0;  // that the device counts
  // `split`: the most that the kernel sends as one request.
  InFlight(const DiskIo& io, Bytes split);
  // The rate after the first `latency` at which a window that is sent again and again, each of its
  // requests taking latency + service, moves `bytes`: bandwidth = in flight / latency. 0 = no cap.
  [[nodiscard]] Bandwidth cap(Bytes bytes, Seconds latency, Seconds service) const;
};

// A budget of bytes: spent by transfers, coming back at a rate while there are none.
class Reserve {
 public:
  Reserve(Bytes size, Bandwidth refill) : size_(size.real()), refill_(refill), left_(size_) {}
  // A transfer begins: how much of it the reserve pays.
  [[nodiscard]] double begin(Bytes bytes, Seconds now);
  void end(Seconds now);
  [[nodiscard]] bool exists() const { return size_ > 0; }

 private:
  double size_;
  Bandwidth refill_;
  double left_;
  std::int64_t active_ = 0;
  Seconds idle_since_{0};
};

}  // namespace kvsim
