// The network of a cluster: cards of machines, racks, a spine. Everything that crosses machines
// goes over it and shares it: P/D transfers, offload, remote reads, KV events, collectives.
//
//   gpu card(s) -> machine -> rack up -> spine -> rack down -> machine -> gpu card(s)
//
// Ways between machines are made before the run (SimGrid's platform is fixed then).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"
#include "sim/des/world.hpp"

namespace kvsim {

class Fabric {
 public:
  struct Options {
    double efficiency = 0.94;         // of the nominal rate: framing
    Bandwidth stream{0};              // one TCP connection's rate; 0 = the line's (RDMA)
    Seconds round_trip{50e-6};        // within a rack
    Seconds spine_round_trip{10e-6};  // more, between racks
    std::int64_t nodes_per_rack = 0;  // 0 = one rack
    double oversubscription = 1;      // of a rack's way up: cards of its machines to its uplinks
    std::int64_t uplinks = 1;         // of a rack; more than one: flows are hashed onto them (ECMP)
    bool ecmp = false;                // false: uplinks are one wide link
    std::uint64_t seed = 1;
    double speed = 1;  // what-if
  };
  struct Node {
    Bandwidth card{0};       // one network card, one way, nominal
    std::int64_t cards = 1;  // of the machine
  };
  using NodeId = std::int32_t;

  Fabric(Tasks& tasks, const Options& options);
  ~Fabric();

  NodeId add_node(const std::string& name, const Node& node);
  // The cards next to some GPUs: a transfer from or to them crosses these too. `cards` may be a
  // fraction where GPUs share one.
  std::int32_t add_port(NodeId node, const std::string& name, double cards);
  static constexpr std::int32_t kAnyPort = -1;

  // A way for bytes, before the run. Both ends may be the same machine: no link then.
  struct End {
    NodeId node;
    std::int32_t port = kAnyPort;
  };
  using WayId = std::int32_t;
  WayId way(End from, End to);
  // Spends half a round trip and the transfer; `streams` connections side by side at most.
  [[nodiscard]] Task move(WayId way, Bytes bytes, std::int64_t streams = 1);
  [[nodiscard]] Seconds round_trip(WayId way) const;
  // Alone, with the round trip: for predictions.
  [[nodiscard]] Seconds estimate(WayId way, Bytes bytes, std::int64_t streams = 1) const;

  // Faults, from now on, transfers under way included. 1 = whole.
  void degrade(NodeId node, double share);
  // Nothing passes between these machines and the others: moves wait. (World links cannot be 0:
  // a partition is a rate at which nothing arrives in the run's time.)
  void partition(const std::vector<NodeId>& nodes, bool cut);
  [[nodiscard]] bool cut(WayId way) const;

  // Cards, uplinks and spine, each with its bytes and busy time.
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvsim
