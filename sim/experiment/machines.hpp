// The machines of an experiment below its GPUs: hosts with their memory and disks, the network
// between them, and the stores that run on them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/experiment/config.hpp"
#include "sim/store/host.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

class Machines {
 public:
  struct Plan {
    std::int64_t nodes = 1;  // that carry replicas
    NodeConfig node;
    NetworkConfig network;
    std::uint64_t seed = 1;
    bool deterministic = true;
    std::vector<std::string> free;  // what-if: kinds of resources that cost nothing
    LiveLanes* live = nullptr;      // not owned
  };
  // `experiment` holds /nodes and /stores, for reading and for complaints.
  Machines(World& world, const ConfigNode& experiment, const std::vector<NodeConfig>& nodes,
           const Plan& plan);
  ~Machines();

  [[nodiscard]] Tasks& tasks() { return tasks_; }
  // Of the i-th node that carries replicas.
  [[nodiscard]] Host& host(std::size_t node);
  [[nodiscard]] StoreAccess& access(std::size_t node);
  // DRAM that stores take; after connectors have taken theirs, and disks made of DRAM before.
  void check_dram();

  struct NamedStore {
    std::string name;  // as configured, and where it is
    const Store* store;
  };
  [[nodiscard]] std::vector<NamedStore> stores() const;
  // Names, as configured, of those that no connector has looked for.
  [[nodiscard]] std::vector<std::string> unreached_stores() const;
  struct NamedDisk {
    std::string name;
    std::string kind;  // of its plug-in
    DiskUse use;
  };
  [[nodiscard]] std::vector<NamedDisk> disks() const;
  [[nodiscard]] std::vector<ResourceUse> resources() const;
  // Each store as configured, with every default; /nodes' disks likewise.
  [[nodiscard]] const Json& resolved_stores() const { return resolved_stores_; }
  [[nodiscard]] std::int64_t dedicated_hosts() const;
  // Nominal rate of the cards, one way, of all machines between which stores are reached.
  [[nodiscard]] Bandwidth network_cards() const;

 private:
  class Access;
  struct Machine;
  struct StoreGroup;

  Machine& add_machine(const ConfigNode& experiment, const NodeConfig& config,
                       const std::string& name);
  void add_disk(Machine& machine, const ConfigNode& disk, Bandwidth memory);
  void add_store(const ConfigNode& node, const std::vector<NodeConfig>& nodes);
  std::unique_ptr<Store> make_store(const ConfigNode& node, const Json& options,
                                    const std::string& name, Machine& machine);
  Wire& wire_between(Machine& client, Machine& server, const Store& store);
  [[nodiscard]] bool is_free(const std::string& kind) const;

  World& world_;
  Tasks tasks_;
  Plan plan_;
  std::vector<std::unique_ptr<Machine>> machines_;  // nodes first, then dedicated ones
  std::vector<std::unique_ptr<StoreGroup>> groups_;
  std::vector<std::unique_ptr<Access>> accesses_;  // per node
  std::vector<std::unique_ptr<Wire>> wires_;
  Json resolved_stores_ = Json::array();
};

}  // namespace kvsim
