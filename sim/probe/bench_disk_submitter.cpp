#include "sim/probe/bench_disk_submitter.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kCold = std::size_t{64} << 20;  // larger than most last-level caches
// A request of 4 MiB has 64 parts on a stripe of 64 KiB (btrfs).
constexpr unsigned kMostEntries = 32'768;

unsigned entries_for(const DiskFile& file, std::int64_t at_once, std::size_t bytes) {
  std::vector<DiskFile::Part> parts;
  file.parts_of(0, bytes, parts);
  return static_cast<unsigned>(std::clamp<std::size_t>(
      (parts.size() + 1) * static_cast<std::size_t>(at_once), 2, kMostEntries));
}

}  // namespace

ReadBuffers::ReadBuffers(std::int64_t at_once, std::size_t bytes) {
  const std::size_t count = std::max(static_cast<std::size_t>(at_once), kCold / bytes);
  memory_ = AlignedBytes(count * bytes);
  for (std::size_t i = 0; i < count; ++i) free_.push_back(memory_.data() + i * bytes);
}

std::byte* ReadBuffers::take() {
  KV_CHECK(!free_.empty(), "more reads at once than there are buffers");
  std::byte* piece = free_.front();
  free_.pop_front();
  return piece;
}

DiskSubmitter::DiskSubmitter(DiskFile& file, std::int64_t at_once, std::size_t bytes)
    : file_(file),
      bytes_(bytes),
      buffers_(at_once, bytes),
      queue_(entries_for(file, at_once, bytes)),
      flights_(static_cast<std::size_t>(at_once)) {}

void DiskSubmitter::start(std::uint64_t slot, const Request& request) {
  Flight& flight = flights_[slot];
  flight.request = request;
  if (!request.write) file_.forget(request.position, bytes_);
  flight.data = request.write ? file_.content(request.position, bytes_) : buffers_.take();
  flight.began = watch_.elapsed();
  file_.parts_of(request.position, bytes_, parts_);
  flight.left = parts_.size();
  for (const DiskFile::Part& part : parts_) queue_.put(part, request.write, flight.data, slot);
}

void DiskSubmitter::finish(Flight& flight) {
  if (flight.request.write) return;
  file_.check(flight.data, flight.request.position, bytes_);
  buffers_.give(flight.data);
}

void DiskSubmitter::run(const Next& next, const Done& done) {
  for (std::uint64_t slot = 0; slot < flights_.size(); ++slot) start(slot, next());
  std::vector<std::uint64_t> parts;
  for (std::size_t flying = flights_.size(); flying > 0; parts.clear()) {
    queue_.wait(parts);
    const Seconds now = watch_.elapsed();
    for (const std::uint64_t slot : parts) {
      Flight& flight = flights_[slot];
      if (--flight.left > 0) continue;
      finish(flight);
      if (done(flight.request, now, now - flight.began))
        start(slot, next());
      else
        --flying;
    }
  }
}

}  // namespace kvsim
