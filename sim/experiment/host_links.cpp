#include "sim/experiment/host_links.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace kvsim {

// A PCIe switch as one rank of the replicas below it sees it.
struct HostLinks::Switch {
  World::LinkId up;
  World::LinkId down;
};

namespace {

HostLink link_of(const PoolPlan& pool, bool free) {
  HostLink host = pool.context.gpu.host_link;
  if (free)
    for (Bandwidth* rate : {&host.to_host_alone, &host.to_host_both, &host.to_gpu_alone,
                            &host.to_gpu_both, &host.switch_limit})
      *rate = *rate * 1e6;
  return host;
}

}  // namespace

HostLinks::HostLinks(World& world, std::span<const PoolPlan> pools, const Placement& placement,
                     bool free) {
  // By machine, number on it, and ranks of the replicas below: all ranks of a replica copy equal
  // parts at once, so one rank's copy stands for all, on a switch that is narrower by their number.
  std::map<std::tuple<std::size_t, std::int64_t, std::int64_t>, Switch> switches;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    PoolPlan pool = pools[p];
    HostLink& host = pool.context.gpu.host_link;
    host = link_of(pool, free);
    const std::int64_t tp = pool.gpus_per_replica();
    const Bandwidth shared = pool.node.switch_bandwidth.value_or(host.switch_limit);
    const std::int64_t configured = pool.node.gpus_per_switch.value_or(host.switch_gpus);
    const std::int64_t gpus_per_switch = std::max(configured, pool.gpus_per_replica());
    const auto ranks = configured > 0 ? std::min(tp, configured) : tp;
    const bool limited = shared > Bandwidth(0) && gpus_per_switch > 0;
    for (std::size_t i = 0; i < placement.replicas[p].size(); ++i) {
      const Place& place = placement.of(p, i);
      const std::string name = pool.config.name + "-" + std::to_string(i);
      Switch* below = nullptr;
      if (limited) {
        const auto [at, first] =
            switches.try_emplace({place.machine, place.first_gpu / gpus_per_switch, ranks});
        below = &at->second;
        if (first) {
          const Bandwidth for_one_rank = shared / static_cast<double>(ranks);
          *below = {world.add_link(name + ".switch.up", for_one_rank),
                    world.add_link(name + ".switch.down", for_one_rank)};
        }
      }
      add(world, pool, name, below);
    }
  }
}

void HostLinks::add(World& world, const PoolPlan& pool, const std::string& name, Switch* below) {
  const HostLink& host = pool.context.gpu.host_link;
  links_.push_back(std::make_unique<DuplexLink>(
      world, name + ".pcie", DuplexLink::Rates{host.to_host_alone, host.to_host_both},
      DuplexLink::Rates{host.to_gpu_alone, host.to_gpu_both}));
  DuplexLink& link = *links_.back();
  std::vector<World::LinkId> up = {link.link(DuplexLink::kUp)};
  std::vector<World::LinkId> down = {link.link(DuplexLink::kDown)};
  if (below != nullptr) {
    up.push_back(below->up);
    down.push_back(below->down);
  }
  lanes_.push_back(
      std::make_unique<Lane>(world, name + ".d2h", "pcie", up, &link, DuplexLink::kUp));
  lanes_.push_back(
      std::make_unique<Lane>(world, name + ".h2d", "pcie", down, &link, DuplexLink::kDown));
  ranks_.insert(ranks_.end(), 2, pool.gpus_per_replica());
}

void HostLinks::set_live(LiveLanes& lanes) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const char* name = i % 2 == 0 ? "to-host" : "to-gpu";
    lanes_[i]->set_live([&lanes, name](Bytes bytes, Seconds took) {
      return lanes.happened({LiveLane::kCudaCopy, name, bytes, 1, took});
    });
  }
}

std::vector<ResourceUse> HostLinks::resources() const {
  std::vector<ResourceUse> out;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    out.push_back(lanes_[i]->use());
    out.back().bytes = out.back().bytes * ranks_[i];
  }
  return out;
}

}  // namespace kvsim
