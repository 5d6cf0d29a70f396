// The network as an experiment describes it, and presets of it: models/network/*.json.
#pragma once

#include <string>

#include "sim/base/fields.hpp"

namespace kvsim {

struct NetworkConfig {
  std::string topology;
  Bandwidth nic{12.5e9};
  std::int64_t nics = 1;
  Bandwidth nics_together{0};
  double efficiency = 0.94;
  Bandwidth stream{4e9};
  std::string protocol = "tcp";
  Seconds round_trip{50e-6};
  Seconds spine_round_trip{10e-6};
  Seconds loopback_round_trip{30e-6};
  std::int64_t nodes_per_rack = 0;
  double oversubscription = 1;
  std::int64_t uplinks = 1;
  bool ecmp = false;

  template <class F>
  void fields(F& f) {
    f.optional("topology", topology,
               "A preset in models/network, or a JSON file: fills what is not given here.");
    f.optional("nic_bytes_per_s", nic, Range{1e6, 1e14}, "A node's card, one way, nominal.");
    f.optional("nics", nics, Range{1, 64}, "Cards of a node.");
    f.optional("nics_bytes_per_s", nics_together, Range{0, 1e15},
               "Most that a node's cards carry together, one way: its host; 0 = their sum.");
    f.optional("efficiency", efficiency, Range{0.01, 1}, "Of the nominal rate: framing.");
    f.optional("stream_bytes_per_s", stream, Range{0, 1e14},
               "One TCP connection's rate; 0 = the line's (RDMA). Default: assumed.");
    f.choice("protocol", protocol, {"tcp", "rdma"},
             "Of KV between GPUs, unless that says another. Clients of stores speak TCP.");
    f.optional("round_trip_s", round_trip, Range{0, 10}, "Between nodes. Default: assumed.");
    f.optional("spine_round_trip_s", spine_round_trip, Range{0, 10},
               "More, between racks. Default: assumed.");
    f.optional("loopback_round_trip_s", loopback_round_trip, Range{0, 10},
               "Between processes of a node. Default: assumed.");
    f.optional("nodes_per_rack", nodes_per_rack, Range{0, 1e6}, "0 = all in one rack.");
    f.optional("oversubscription", oversubscription, Range{0.01, 1000},
               "Cards of a full rack, to its way up.");
    f.optional("uplinks", uplinks, Range{1, 1024}, "Links of a rack's way up.");
    f.optional("ecmp", ecmp,
               "Connections are hashed onto uplinks; false: uplinks are one wide link.");
  }
};

// The experiment's "network", with what its "topology" brings where it says nothing itself. Throws
// ConfigError for an unknown preset or one without provenance.
NetworkConfig read_network(const ConfigNode& experiment);

}  // namespace kvsim
