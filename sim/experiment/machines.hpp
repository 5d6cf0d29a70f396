// The machines of an experiment below its GPUs: hosts with their memory and disks, the network
// between them, and the stores that run on them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/experiment/config.hpp"
#include "sim/store/fabric.hpp"
#include "sim/store/host.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

class Machines {
 public:
  struct Plan {
    std::vector<NodeConfig> nodes;  // machines that carry replicas, one entry each
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
  // The network that all of them share, and where the i-th node that carries replicas is in it.
  [[nodiscard]] Fabric& fabric() { return fabric_; }
  [[nodiscard]] Fabric::NodeId fabric_node(std::size_t node) const;
  // DRAM that stores take; after connectors have taken theirs, and disks made of DRAM before.
  void check_dram();

  struct NamedStore {
    std::string name;  // as configured, and where it is
    const Store* store;
    std::string configured;  // name alone
  };
  [[nodiscard]] std::vector<NamedStore> stores() const;
  // By the names that stores() and disks() tell; they exist.
  [[nodiscard]] Store& store(const std::string& name);
  [[nodiscard]] Disk& disk(const std::string& name);
  // Machines that carry replicas and whose connectors ask this store.
  [[nodiscard]] std::vector<std::size_t> nodes_that_ask(const std::string& store) const;
  // Of machines that carry replicas; and of the stores on one of them.
  [[nodiscard]] std::vector<std::string> node_names() const;
  [[nodiscard]] std::vector<std::string> stores_on(std::size_t node) const;
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
  // Nominal rate of the cards, one way, of all machines that something reaches over the network.
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
  Wire& wire_between(const Machine& client, const Machine& server, const Store& store);
  [[nodiscard]] Fabric::Options fabric_options() const;
  [[nodiscard]] bool is_free(const std::string& kind) const;

  Tasks tasks_;
  Plan plan_;
  Fabric fabric_;
  std::vector<std::unique_ptr<Machine>> machines_;  // nodes first, then dedicated ones
  std::vector<std::unique_ptr<StoreGroup>> groups_;
  std::vector<std::unique_ptr<Access>> accesses_;  // per node
  std::vector<std::unique_ptr<Wire>> wires_;
  Json resolved_stores_ = Json::array();
};

}  // namespace kvsim
