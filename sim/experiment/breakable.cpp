#include "sim/experiment/breakable.hpp"

#include <algorithm>

namespace kvsim {

Breakable::Breakable(World& world, Frontend& frontend, Scaling& scaling, Machines* machines,
                     Seconds detection)
    : world_(world),
      frontend_(frontend),
      scaling_(scaling),
      machines_(machines),
      detection_(detection),
      troubles_(frontend.replicas().size()),
      notices_(world, Priority::kObserve,
               [this](Replica*& replica, Seconds) { noticed(*replica); }) {}

FaultNames Breakable::names() const {
  FaultNames out;
  std::int32_t nodes = 0;
  for (const auto& replica : frontend_.replicas()) {
    out.replicas.push_back(replica->facts.name);
    nodes = std::max(nodes, replica->facts.node + 1);
  }
  if (machines_ == nullptr) {
    for (std::int32_t i = 0; i < nodes; ++i) out.nodes.push_back("node-" + std::to_string(i));
    return out;
  }
  out.nodes = machines_->node_names();
  for (const Machines::NamedStore& store : machines_->stores()) out.stores.push_back(store.name);
  for (const Machines::NamedDisk& disk : machines_->disks()) out.disks.push_back(disk.name);
  return out;
}

void Breakable::noticed(Replica& replica) {
  if (replica.up()) return;
  Dispatcher& dispatcher = frontend_.dispatcher_of(replica);
  dispatcher.set_ready(replica, false);
  dispatcher.lost(replica);
}

void Breakable::go_down(Replica& replica) {
  Trouble& trouble = troubles_[static_cast<std::size_t>(replica.index)];
  scaling_.forbid(replica, true);
  // One that drains, or is off, has nothing to come back for.
  if (scaling_.abandon(replica) || replica.state == Replica::State::kReady) trouble.was_up = true;
  if (!replica.up()) return;
  frontend_.crash(replica);
  notices_.add(world_.now() + detection_, &replica);
}

void Breakable::come_back(Replica& replica) {
  Trouble& trouble = troubles_[static_cast<std::size_t>(replica.index)];
  if (trouble.crashed || trouble.node_lost) return;
  scaling_.forbid(replica, false);
  if (trouble.was_up) scaling_.bring_up(replica);
  trouble.was_up = false;
}

void Breakable::crash_replica(std::int32_t replica) {
  troubles_[static_cast<std::size_t>(replica)].crashed = true;
  go_down(at(replica));
}

void Breakable::restore_replica(std::int32_t replica) {
  troubles_[static_cast<std::size_t>(replica)].crashed = false;
  come_back(at(replica));
}

void Breakable::lose_node(std::int32_t node) {
  for (const auto& replica : frontend_.replicas()) {
    if (replica->facts.node != node) continue;
    troubles_[static_cast<std::size_t>(replica->index)].node_lost = true;
    go_down(*replica);
  }
  if (machines_ == nullptr) return;
  for (const std::string& store : machines_->stores_on(static_cast<std::size_t>(node)))
    stop_store(store);
}

void Breakable::restore_node(std::int32_t node) {
  for (const auto& replica : frontend_.replicas()) {
    if (replica->facts.node != node) continue;
    troubles_[static_cast<std::size_t>(replica->index)].node_lost = false;
    come_back(*replica);
  }
  if (machines_ == nullptr) return;
  for (const std::string& store : machines_->stores_on(static_cast<std::size_t>(node)))
    restart_store(store, false);
}

void Breakable::stop_store(const std::string& store) { machines_->store(store).go_down(); }

void Breakable::restart_store(const std::string& store, bool warm) {
  machines_->store(store).come_up(warm);
}

void Breakable::degrade_link(std::int32_t node, double share) {
  if (machines_ != nullptr)
    machines_->fabric().degrade(machines_->fabric_node(static_cast<std::size_t>(node)), share);
}

void Breakable::slow_disk(const std::string& disk, double share) {
  machines_->disk(disk).set_speed(share);
}

void Breakable::partition(const std::vector<std::int32_t>& nodes, bool cut) {
  if (machines_ == nullptr) return;
  std::vector<Fabric::NodeId> there;
  for (const std::int32_t node : nodes)
    there.push_back(machines_->fabric_node(static_cast<std::size_t>(node)));
  machines_->fabric().partition(there, cut);
}

}  // namespace kvsim
