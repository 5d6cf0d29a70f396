// KV on its way from prefill replicas to decode replicas, GPU to GPU (spec/dynamo.md section 4,
// spec/mooncake.md section 1): options, and the hub over which replicas find each other.
//
//   setup + descriptors -> the fabric (or a GPU link within a machine) -> told to the prefill side
//
// A decode replica pulls, when it admits the request, all that HBM lacks; blocks on the prefill
// replica stay until then or a time-out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/kv/connector.hpp"
#include "sim/store/fabric.hpp"

namespace kvsim {

struct KvTransferOptions {
  std::string protocol;
  Seconds setup{100e-6};
  Seconds descriptor{4.2e-6};
  std::string granularity = "layer";
  bool coalesce = true;
  std::int64_t streams = 8;
  double efficiency = 1;
  bool staged = false;
  Seconds hold_timeout{480};
  Seconds timeout{30};

  template <class F>
  void fields(F& f) {
    f.choice("protocol", protocol, {"", "tcp", "rdma"}, "Default: the network's.");
    f.optional("setup_s", setup, Range{0, 10},
               "Of each transfer: handshake and preparation. Default: spec/dynamo.md section 4, "
               "50-200 us, uncertain.");
    f.optional("descriptor_s", descriptor, Range{0, 1},
               "Submitting one descriptor; ranks submit side by side. Default: fitted to published "
               "transfers of vLLM with Mooncake, where it cannot be told from setup_s.");
    f.choice("granularity", granularity, {"layer", "block"},
             "Descriptors per block: keys and values of each layer, or one (a layout across "
             "layers).");
    f.optional("coalesce", coalesce,
               "Blocks that are neighbours on both replicas share descriptors (Mooncake); false: "
               "each has its own (NIXL's prepared lists).");
    f.optional("streams", streams, Range{1, 1024}, "TCP connections of a transfer. Assumed.");
    f.optional("efficiency", efficiency, Range{0.01, 1},
               "Of the rate that the network gives one transfer alone.");
    f.optional("staged", staged, "Through DRAM of both hosts, in a pipeline; false: GPUDirect.");
    f.optional("hold_timeout_s", hold_timeout, Range{1e-6, 1e6},
               "Blocks that nobody reads are given up after that; vLLM's default, uncertain.");
    f.optional("timeout_s", timeout, Range{1e-6, 1e6},
               "A transfer that takes longer has failed. Default: assumed.");
  }
};

class RemotePrefillConnector;

class KvTransferHub {
 public:
  // Where a replica is, and what it does.
  struct Place {
    Fabric::End end;        // its machine and, where it has one, the port of its GPUs
    Bandwidth gpu_link{0};  // of one GPU to others of its machine, one way; 0 = costs nothing
    bool prefill = false;
    bool decode = false;
  };

  // `rdma`: what the network speaks, for options that do not say.
  KvTransferHub(Tasks& tasks, Fabric& fabric, const KvTransferOptions& options, bool rdma);
  ~KvTransferHub();

  // The connector for replica number `replica`, around `inner` (null: no tiers below HBM), which
  // is asked for what does not come from a prefill replica. The hub must outlive it.
  std::unique_ptr<Connector> connect(std::int32_t replica, std::unique_ptr<Connector> inner,
                                     const Connector::Context& context, const Place& place);
  // When all are connected, before the run: makes ways from prefill to decode replicas. Throws
  // ConfigError when their blocks do not fit together.
  void open();

  // Both halves are sent at once (SGLang): until sequence `number` has ended on the prefill
  // replica, or cancel(), whoever decodes it waits. Without: what is not held is gone.
  void expect(std::int32_t replica, std::int64_t number);
  // The sequence will never end, or nobody will read it: its blocks are given back.
  void cancel(std::int32_t replica, std::int64_t number);
  // Its blocks can be read.
  [[nodiscard]] bool holds(std::int32_t replica, std::int64_t number) const;

  // A transfer of so many tokens alone, for predictions. 0 tokens: 0.
  [[nodiscard]] Seconds estimate(std::int32_t prefill, std::int32_t decode,
                                 std::int64_t tokens) const;

  // GPU links that are used.
  [[nodiscard]] std::vector<ResourceUse> resources() const;

  // --- for connectors ---
  [[nodiscard]] const KvTransferOptions& options() const { return options_; }
  [[nodiscard]] RemotePrefillConnector* replica(std::int32_t replica) const;
  // Something that somebody may have asked for is there, or gone for good.
  void tell_askers();
  // The bytes' way: over the fabric or the GPU link.
  [[nodiscard]] Task move(std::int32_t prefill, std::int32_t decode, Bytes bytes);

 private:
  struct Replica;
  [[nodiscard]] const Replica& at(std::int32_t replica) const;
  [[nodiscard]] Fabric::WayId way(std::int32_t prefill, std::int32_t decode) const;
  [[nodiscard]] std::int64_t streams() const;

  Tasks& tasks_;
  Fabric& fabric_;
  KvTransferOptions options_;
  bool rdma_;
  std::vector<std::unique_ptr<Replica>> replicas_;  // by number; null = not connected
  std::vector<Fabric::WayId> ways_;                 // by prefill replica, then decode replica
};

}  // namespace kvsim
