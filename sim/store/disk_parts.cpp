#include "sim/store/disk_parts.hpp"

#include "sim/base/check.hpp"

namespace kvsim {

bool DiskSpace::take(Bytes bytes) {
  if (bytes > capacity_ - used_) return false;
  used_ += bytes;
  return true;
}

void DiskSpace::give(Bytes bytes) {
  KV_CHECK(bytes <= used_, "{} bytes given back of {} taken", bytes.count(), used_.count());
  used_ -= bytes;
}

InFlight::InFlight(const DiskIo& io, Bytes split)
    : request(std::min(io.bytes, io.request > Bytes(0) ? io.request : split)),
      window(io.depth > 0 && io.depth <= io.bytes / request ? request * io.depth : io.bytes),
      requests(groups_of(io.bytes.count(), std::min(request, split).count())) {}

Bandwidth InFlight::cap(Bytes bytes, Seconds latency, Seconds service) const {
  if (window >= bytes) return Bandwidth(0);
  const Seconds all = (latency + service) * (bytes.real() / window.real());
  return all > latency ? Bandwidth(bytes.real() / (all - latency).count()) : Bandwidth(0);
}

double Reserve::begin(Bytes bytes, Seconds now) {
  if (active_++ == 0)
    left_ = std::min(size_, left_ + refill_.count() * (now - idle_since_).count());
  const double paid = std::min(left_, bytes.real());
  left_ -= paid;
  return paid;
}

void Reserve::end(Seconds now) {
  if (--active_ == 0) idle_since_ = now;
}

}  // namespace kvsim
