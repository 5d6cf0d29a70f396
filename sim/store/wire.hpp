// The way between a client's machine and a store's: loopback, or the NICs of both.
//
// The kernel's TCP copies are CPU of the two ends and counted there; here is what the line takes. A
// single TCP stream does not fill a fast line (spec/perf_model.md section 4.3): `stream` caps one
// value's transfer.
#pragma once

#include <optional>

#include "sim/base/fields.hpp"
#include "sim/des/tasks.hpp"
#include "sim/des/world.hpp"

namespace kvsim {

class Wire {
 public:
  struct Options {
    Seconds round_trip{0};
    Bandwidth stream{0};  // 0 = no cap
    // Paths over the links of both machines; none = loopback.
    std::optional<World::PathId> to_server;
    std::optional<World::PathId> to_client;
    Bandwidth line{0};  // of the narrowest link, for estimates; 0 = loopback
  };
  Wire(Tasks& tasks, const Options& options) : tasks_(tasks), options_(options) {}

  // Half a round trip, and the bytes.
  [[nodiscard]] Task send(Bytes bytes) { return move(options_.to_server, bytes); }
  [[nodiscard]] Task receive(Bytes bytes) { return move(options_.to_client, bytes); }
  [[nodiscard]] bool loopback() const { return !options_.to_server; }
  [[nodiscard]] Seconds round_trip() const { return options_.round_trip; }
  // Alone, without the round trip.
  [[nodiscard]] Seconds estimate(Bytes bytes) const;

 private:
  [[nodiscard]] Task move(std::optional<World::PathId> path, Bytes bytes);
  Tasks& tasks_;
  Options options_;
};

}  // namespace kvsim
