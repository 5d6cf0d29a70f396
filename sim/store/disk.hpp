// A block device, or several striped into one.
//
// One call is one read or write of a whole value by one caller; the device cuts it into the
// requests that it or the kernel would issue, and shares itself among callers. What it wrote and
// how worn it is comes with it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/check.hpp"
#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"

namespace kvsim {

struct DiskIo {
  bool write = false;
  Bytes bytes{0};
  // Where it begins, in bytes: only which member of a stripe is hit depends on it.
  std::uint64_t position = 0;
  // What the caller keeps in flight of it: bytes of one request and how many at a time (readahead
  // window, O_DIRECT of the whole value, ...). 0 = as the kernel cuts a large direct request.
  Bytes request{0};
  std::int64_t depth = 0;
  // Cap of this caller alone, bytes per second: buffered reads stay below the device. 0 = none.
  Bandwidth most{0};
};

// For summaries and cost.
struct DiskUse {
  Bytes read{0};
  Bytes written{0};        // by callers
  Bytes written_flash{0};  // with the device's own write amplification
  Bytes capacity{0};
  Bytes used{0};
  double rated_drive_writes_per_day = 0;  // 0 = not stated
};

class Disk {
 public:
  static constexpr const char* kPlugin = "disk";
  struct Context {
    Tasks& tasks;
    std::string name;
    bool deterministic = true;  // means instead of draws
    std::uint64_t seed = 1;
    Bandwidth memory{0};  // one thread's copy rate on its host: for devices made of DRAM
    double speed = 1;     // what-if: every rate times this, every latency divided by it
  };

  virtual ~Disk() = default;
  // Comes back when the last byte is read, or the device has taken it.
  [[nodiscard]] virtual Task io(DiskIo io) = 0;
  // Room: false, and nothing taken, when it is full.
  [[nodiscard]] virtual bool take_space(Bytes bytes) = 0;
  virtual void give_space(Bytes bytes) = 0;
  // From now on it works at `share` of its speed, 0 < share <= 1: bytes and requests a second, and
  // what calls wait for. Calls under way: their bytes only, and no faster than they were allowed
  // to.
  virtual void set_speed(double share);

  // Of its host's, that it is made of.
  [[nodiscard]] virtual Bytes dram() const { return Bytes(0); }
  // Rate of a long read or write by one caller, alone: for estimates, not for spending time.
  [[nodiscard]] virtual Bandwidth rate(bool write) const = 0;
  [[nodiscard]] virtual DiskUse use() const = 0;
  [[nodiscard]] virtual std::vector<ResourceUse> resources() const = 0;
};

// For disks that a fault may not slow down: complains of any other share than 1.
inline void Disk::set_speed(double share) { KV_CHECK(share == 1, "this disk has one speed"); }

}  // namespace kvsim
