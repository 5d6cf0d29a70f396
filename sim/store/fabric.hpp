// The network of a cluster: cards of machines, racks, a spine. Everything that crosses machines
// goes over it and shares it: P/D transfers, offload, remote reads, KV events, collectives.
//
//   gpu card(s) -> machine -> rack up -> spine -> rack down -> machine -> gpu card(s)
//
// Links are SimGrid's, max-min fair, one activity a move. Ways between machines are made before the
// run (SimGrid's platform is fixed then).
//
// Left out: a spine that blocks beyond a rack's way up, packets, congestion control and its losses,
// priorities, NUMA hops inside a machine (`host` stands for them). One connection's rate is kept by
// waiting at the end of a move: while it moves, such a move may take more than its cap.
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
    // Of a rack's way up: cards of a rack full of machines like its first, to its uplinks.
    double oversubscription = 1;
    std::int64_t uplinks = 1;  // of a rack
    bool ecmp = false;         // ways are hashed onto uplinks; false: they are one wide link
    std::uint64_t seed = 1;    // of that hash
    double speed = 1;          // what-if
  };
  struct Node {
    Bandwidth card{0};       // one network card, one way, nominal
    std::int64_t cards = 1;  // of the machine
    // What all cards together carry at most, one way: PCIe and the host; 0 = their sum.
    Bandwidth host{0};
  };
  using NodeId = std::int32_t;

  Fabric(Tasks& tasks, const Options& options);
  ~Fabric();

  NodeId add_node(const std::string& name, const Node& node);
  // The cards next to some GPUs: a transfer from or to them crosses these too. `cards` may be a
  // fraction where GPUs share one.
  std::int32_t add_port(NodeId node, const std::string& name, double cards);
  static constexpr std::int32_t kAnyPort = -1;
  // The port of GPUs [first, first + gpus) of a machine that has `all`, cards spread evenly over
  // them; made when first asked for. kAnyPort when these are all its cards.
  std::int32_t port_near(NodeId node, std::int64_t first, std::int64_t gpus, std::int64_t all);

  // A way for bytes, before the run. Both ends may be the same machine: no link then. Asked for
  // again: the same.
  struct End {
    NodeId node;
    std::int32_t port = kAnyPort;
  };
  using WayId = std::int32_t;
  WayId way(End from, End to);
  // Spends half a round trip and the transfer; `streams` connections side by side at most.
  // kLineRate: no connection's rate holds it back (RDMA).
  static constexpr std::int64_t kLineRate = 0;
  [[nodiscard]] Task move(WayId way, Bytes bytes, std::int64_t streams = 1);
  // Some way begins or ends there, at another machine.
  [[nodiscard]] bool reached(NodeId node) const;
  [[nodiscard]] bool same_machine(WayId way) const;
  // 0 on the same machine.
  [[nodiscard]] Seconds round_trip(WayId way) const;
  // Of one move alone on healthy links; 0 = on the same machine.
  [[nodiscard]] Bandwidth rate(WayId way, std::int64_t streams = 1) const;
  // Alone, with the round trip: for predictions.
  [[nodiscard]] Seconds estimate(WayId way, Bytes bytes, std::int64_t streams = 1) const;

  // Faults, from now on, transfers under way included. 1 = whole, 0 = stands still.
  void degrade(NodeId node, double share);
  // Nothing passes between these machines and the others: moves wait. (World links cannot be 0:
  // a partition is a rate at which nothing arrives in the run's time.) Partitions add up; each is
  // taken back by cut = false with the same machines.
  void partition(const std::vector<NodeId>& nodes, bool cut);
  [[nodiscard]] bool cut(WayId way) const;

  // Cards and uplinks that are on some way, each with the bytes that have arrived over it and, as
  // busy time, what they take at its rate.
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvsim
