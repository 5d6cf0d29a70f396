// What of an experiment can break, and what breaking it does.
//
// A replica that crashes loses HBM and what its process kept in DRAM; requests that it had fail,
// and routers go on choosing it until they have noticed. A lost machine takes its replicas, the
// stores on it and its links along; what stores had on disk comes back with it.
//
// Leaves out: processes that several replicas of a machine share (an LMCache server, a gateway)
// stay as they are when the machine is lost; commands under way when a store goes away the first
// time are still answered.
#pragma once

#include <vector>

#include "sim/des/agenda.hpp"
#include "sim/experiment/faults.hpp"
#include "sim/experiment/machines.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/frontend/scaling.hpp"

namespace kvsim {

class Breakable final : public FaultTargets {
 public:
  // `machines` may be null: then there are no stores, disks and links.
  Breakable(World& world, Frontend& frontend, Scaling& scaling, Machines* machines,
            Seconds detection);

  [[nodiscard]] FaultNames names() const override;
  void crash_replica(std::int32_t replica) override;
  void restore_replica(std::int32_t replica) override;
  void lose_node(std::int32_t node) override;
  void restore_node(std::int32_t node) override;
  void stop_store(const std::string& store) override;
  void restart_store(const std::string& store, bool warm) override;
  void degrade_link(std::int32_t node, double share) override;
  void slow_disk(const std::string& disk, double share) override;
  void partition(const std::vector<std::int32_t>& nodes, bool cut) override;

 private:
  struct Trouble {
    bool crashed = false;
    bool node_lost = false;
    bool was_up = false;
  };
  void go_down(Replica& replica);
  void come_back(Replica& replica);
  void noticed(Replica& replica);
  [[nodiscard]] Replica& at(std::int32_t replica) const {
    return *frontend_.replicas()[static_cast<std::size_t>(replica)];
  }

  World& world_;
  Frontend& frontend_;
  Scaling& scaling_;
  Machines* machines_;
  Seconds detection_;
  std::vector<Trouble> troubles_;  // by replica
  Agenda<Replica*> notices_;
};

}  // namespace kvsim
