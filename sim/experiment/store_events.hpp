// Tells replicas' event logs what the stores that they reach hold, so that routers may weigh it. A
// store of a node tells the replicas of that node; one that all reach tells all.
//
// Stands for what a cache controller or keyspace notifications tell; it goes the way of the
// engines' own events, published with the replica's next step.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "sim/experiment/machines.hpp"
#include "sim/frontend/replica.hpp"

namespace kvsim {

class StoreEvents {
 public:
  // Index of what lies in stores among a log's tiers.
  static constexpr std::size_t kTier = kIndexTiers - 1;

  // Listens to all stores that connectors of these replicas ask. Replicas tell events already.
  StoreEvents(Machines& machines, const std::vector<Replica*>& replicas);
  ~StoreEvents();

 private:
  class Teller;
  std::vector<std::unique_ptr<Teller>> tellers_;
};

}  // namespace kvsim
