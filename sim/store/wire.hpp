// The way between a client's machine and a store's: loopback, or over the fabric.
//
// The kernel's TCP copies are CPU of the two ends and counted there; here is what the line takes. A
// single TCP stream does not fill a fast line (spec/perf_model.md section 4.3): the stream rate
// caps one value's transfer.
#pragma once

#include "sim/des/tasks.hpp"
#include "sim/store/fabric.hpp"

namespace kvsim {

class Wire {
 public:
  struct Options {
    // Without a fabric: loopback, or a line of which only one connection's rate is known.
    Seconds round_trip{0};
    Bandwidth stream{0};       // 0 = no cap
    Fabric* fabric = nullptr;  // then it says both; not owned
    Fabric::WayId to_server = -1;
    Fabric::WayId to_client = -1;
  };
  Wire(Tasks& tasks, const Options& options) : tasks_(tasks), options_(options) {}

  // Half a round trip, and the bytes.
  [[nodiscard]] Task send(Bytes bytes) { return move(options_.to_server, bytes); }
  [[nodiscard]] Task receive(Bytes bytes) { return move(options_.to_client, bytes); }
  [[nodiscard]] bool loopback() const { return options_.fabric == nullptr; }
  [[nodiscard]] Seconds round_trip() const {
    return loopback() ? options_.round_trip : options_.fabric->round_trip(options_.to_server);
  }
  // Alone, without the round trip.
  [[nodiscard]] Seconds estimate(Bytes bytes) const;

 private:
  [[nodiscard]] Task move(Fabric::WayId way, Bytes bytes) {
    return loopback() ? wait(bytes) : options_.fabric->move(way, bytes);
  }
  [[nodiscard]] Task wait(Bytes bytes);
  Tasks& tasks_;
  Options options_;
};

}  // namespace kvsim
