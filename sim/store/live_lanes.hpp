// Operations of a simulation that are done for real, or compared with real ones: live lanes
// (docs/calibrate.md). Components tell what they have just done and with how many at once; whoever
// runs the experiment decides what follows.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/base/units.hpp"
#include "sim/des/tasks.hpp"

namespace kvsim {

enum class LiveLane : std::uint8_t { kRocksdb, kResp, kCodec, kHostCopy, kCudaCopy, kCount };
constexpr std::size_t kLiveLanes = static_cast<std::size_t>(LiveLane::kCount);
// The bench of each (sim/probe/bench.hpp).
constexpr std::array<const char*, kLiveLanes> kLiveLaneNames = {"rocksdb", "resp", "codec",
                                                                "host_copy", "cuda_copy"};

// One operation, when the component's own model has been through with it.
struct LiveOperation {
  LiveLane lane;
  std::string_view name;  // one of the bench's operations
  Bytes bytes{0};
  std::int64_t at_once = 1;
  Seconds model{0};  // what it took by the model
};

class LiveLanes {
 public:
  virtual ~LiveLanes() = default;
  // Its operations take as long as they do for real: components of it cost no time themselves.
  [[nodiscard]] virtual bool drives(LiveLane lane) const = 0;
  // What is to pass now: the real time, or 0 when the model tells the time.
  [[nodiscard]] virtual Seconds happened(const LiveOperation& operation) = 0;
};

// Which of a machine's operations are under way.
struct LiveGauge {
  LiveLanes* lanes = nullptr;  // not owned
  std::array<std::int64_t, kLiveLanes> in_flight{};
  [[nodiscard]] bool drives(LiveLane lane) const { return lanes != nullptr && lanes->drives(lane); }
};

// One operation of a lane, from its making to its end.
class LiveFlight {
 public:
  LiveFlight(Tasks& tasks, LiveGauge& gauge, LiveLane lane)
      : tasks_(tasks), gauge_(gauge), lane_(lane), began_(tasks.now()), at_once_(++in_flight()) {}
  ~LiveFlight() { --in_flight(); }
  LiveFlight(const LiveFlight&) = delete;
  LiveFlight& operator=(const LiveFlight&) = delete;

  // The model has been through with it: awaitable; goes on when the real one would have ended.
  // `but`: time since the beginning that is not the lane's.
  auto end(std::string_view name, Bytes bytes, Seconds but = Seconds(0)) {
    Seconds real{0};
    if (gauge_.lanes != nullptr) {
      const std::int64_t at_once = (at_once_ + in_flight() + 1) / 2;  // between its two ends
      real = gauge_.lanes->happened({lane_, name, bytes, at_once, tasks_.now() - began_ - but});
    }
    return tasks_.sleep(real);
  }

 private:
  [[nodiscard]] std::int64_t& in_flight() {
    return gauge_.in_flight[static_cast<std::size_t>(lane_)];
  }
  Tasks& tasks_;
  LiveGauge& gauge_;
  LiveLane lane_;
  Seconds began_;
  std::int64_t at_once_;
};

}  // namespace kvsim
