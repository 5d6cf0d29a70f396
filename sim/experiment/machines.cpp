#include "sim/experiment/machines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/experiment/complaints.hpp"
#include "sim/experiment/own_options.hpp"

namespace kvsim {

struct Machines::Machine {
  std::unique_ptr<Host> host;
  Fabric::NodeId node = -1;
  Bandwidth cards{0};                   // nominal, together
  std::vector<std::string> disk_kinds;  // in the order of the host's disks
};

// A store as configured: one instance, or one on every node.
struct Machines::StoreGroup {
  StoreConfig config;
  struct Instance {
    std::string name;
    std::unique_ptr<Store> store;
    Machine* machine;
  };
  std::vector<Instance> instances;
};

// What the processes of one node may reach.
class Machines::Access final : public StoreAccess {
 public:
  std::map<std::string, StoreRoute> routes;
  std::set<std::string> asked;
  const StoreRoute& find(const std::string& name) override {
    const auto at = routes.find(name);
    if (at != routes.end()) {
      asked.insert(name);
      return at->second;
    }
    std::vector<std::string> names;
    for (const auto& [known, route] : routes) names.push_back(known);
    throw ConfigError(fmt::format("/stores: found no store called \"{}\"; allowed: one of {}", name,
                                  join_names(names)));
  }
};

namespace {

constexpr double kFreeSpeed = 1e6;

struct DiskName {
  std::string name;
  template <class F>
  void fields(F& f) {
    f.required("name", name, "What stores call it.");
  }
};

}  // namespace

Machines::Machines(World& world, const ConfigNode& experiment, const std::vector<NodeConfig>& nodes,
                   const Plan& plan)
    : tasks_(world), plan_(plan), fabric_(tasks_, fabric_options()) {
  std::map<std::string, std::int64_t> of_kind;
  for (const NodeConfig& node : plan.nodes) {
    add_machine(experiment, node, fmt::format("{}-{}", node.name, of_kind[node.name]++));
    accesses_.push_back(std::make_unique<Access>());
  }
  if (!experiment.has("stores")) return;
  const ConfigNode list = experiment.at("stores");
  for (std::size_t i = 0; i < list.json().size(); ++i) add_store(list.at(i), nodes);
}

Machines::~Machines() { tasks_.clear(); }

bool Machines::is_free(const std::string& kind) const {
  return std::find(plan_.free.begin(), plan_.free.end(), kind) != plan_.free.end();
}

Fabric::Options Machines::fabric_options() const {
  const NetworkConfig& network = plan_.network;
  const bool free = is_free("network");
  return {.efficiency = network.efficiency,
          .stream = free ? Bandwidth(0) : network.stream,
          .round_trip = free ? Seconds(0) : network.round_trip,
          .spine_round_trip = free ? Seconds(0) : network.spine_round_trip,
          .nodes_per_rack = network.nodes_per_rack,
          .oversubscription = network.oversubscription,
          .uplinks = network.uplinks,
          .ecmp = network.ecmp,
          .seed = plan_.seed,
          .speed = free ? kFreeSpeed : 1};
}

Fabric::NodeId Machines::fabric_node(std::size_t node) const { return machines_.at(node)->node; }
Host& Machines::host(std::size_t node) { return *machines_.at(node)->host; }
StoreAccess& Machines::access(std::size_t node) { return *accesses_.at(node); }

Machines::Machine& Machines::add_machine(const ConfigNode& experiment, const NodeConfig& config,
                                         const std::string& name) {
  auto machine = std::make_unique<Machine>();
  CpuOptions cpu = config.cpu;
  if (is_free("memory")) {
    cpu.copy = cpu.copy * kFreeSpeed;
    cpu.memory = cpu.memory * kFreeSpeed;
    cpu.fresh = Bandwidth(0);  // costs nothing
  }
  machine->host = std::make_unique<Host>(tasks_, name, cpu, config.dram);
  machine->host->live().lanes = plan_.live;
  const NetworkConfig& network = plan_.network;
  const Fabric::Node cards{.card = config.nic.value_or(network.nic),
                           .cards = config.nics.value_or(network.nics),
                           .host = config.nics_together.value_or(network.nics_together)};
  machine->cards = cards.card * static_cast<double>(cards.cards);
  machine->node = fabric_.add_node(name, cards);
  for (const Json& disk : config.disks)
    add_disk(*machine, ConfigNode(disk, experiment.file(), "/nodes/disks"), cpu.copy);
  machines_.push_back(std::move(machine));
  return *machines_.back();
}

void Machines::add_disk(Machine& machine, const ConfigNode& disk, Bandwidth memory) {
  DiskName own;
  const Json options = split_options(disk, own);
  Host& host = *machine.host;
  if (host.disk(own.name) != nullptr)
    disk.fail("two called \"" + own.name + "\"", "a name of its own for each disk of a node");
  const ConfigNode node(options, disk.file(), disk.path() + "/" + own.name);
  const std::string full = host.name() + "." + own.name;
  Disk::Context context{.tasks = tasks_,
                        .name = full,
                        .deterministic = plan_.deterministic,
                        .seed = plan_.seed ^ hash_name(full),
                        .memory = memory,
                        .speed = is_free("disk") ? kFreeSpeed : 1};
  named_by(node.file() + ": " + node.path(), [&] {
    host.add_disk(own.name, Registry<Disk>::instance().make(node, context));
    host.dram().hold(full, host.disk(own.name)->dram());
  });
  machine.disk_kinds.push_back(Registry<Disk>::instance().find(node).resolve(node)["kind"]);
}

std::unique_ptr<Store> Machines::make_store(const ConfigNode& node, const Json& options,
                                            const std::string& name, Machine& machine) {
  Store::Context context{.tasks = tasks_,
                         .host = *machine.host,
                         .name = name,
                         .deterministic = plan_.deterministic,
                         .seed = plan_.seed ^ hash_name(name),
                         .free_server = is_free("server"),
                         .free_disk = is_free("disk")};
  return named_by(node.file() + ": " + node.path(), [&] {
    return Registry<Store>::instance().make(ConfigNode(options, node.file(), node.path()), context);
  });
}

void Machines::add_store(const ConfigNode& node, const std::vector<NodeConfig>& nodes) {
  auto group = std::make_unique<StoreGroup>();
  const Json options = split_options(node, group->config);
  const StoreConfig& config = group->config;
  for (const auto& other : groups_)
    if (other->config.name == config.name)
      node.at("name").fail("two stores called \"" + config.name + "\"",
                           "a name of its own for each");
  Json resolved = echo_config(config);
  const ConfigNode plugin(options, node.file(), node.path());
  resolved.update(Registry<Store>::instance().find(plugin).resolve(plugin));
  resolved_stores_.push_back(std::move(resolved));

  std::vector<Machine*> places;
  if (config.place == "dedicated") {
    const auto kind = std::find_if(nodes.begin(), nodes.end(),
                                   [&](const NodeConfig& n) { return n.name == config.node; });
    constexpr const char* kAllowed = "the name of one of /nodes, for its machine";
    if (!node.has("node")) node.fail("no \"node\"", kAllowed);
    if (kind == nodes.end()) node.at("node").fail("\"" + config.node + "\"", kAllowed);
    places.push_back(&add_machine(node, *kind, config.name));
  } else {
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) places.push_back(machines_[i].get());
  }
  for (Machine* machine : places) {
    const std::string name =
        config.place == "dedicated" ? config.name : machine->host->name() + "." + config.name;
    group->instances.push_back({name, make_store(node, options, name, *machine), machine});
  }
  for (std::size_t i = 0; i < accesses_.size(); ++i) {
    StoreRoute& route = accesses_[i]->routes[config.name];
    route.free_client = is_free("client");
    for (std::size_t j = 0; j < group->instances.size(); ++j) {
      if (config.place == "each-node" && j != i) continue;
      StoreGroup::Instance& instance = group->instances[j];
      route.shards.push_back({instance.store.get(),
                              &wire_between(*machines_[i], *instance.machine, *instance.store),
                              instance.machine->host.get()});
    }
  }
  groups_.push_back(std::move(group));
}

Wire& Machines::wire_between(const Machine& client, const Machine& server, const Store& store) {
  Wire::Options options;
  if (&client != &server) {
    options.fabric = &fabric_;
    options.to_server = fabric_.way({client.node}, {server.node});
    options.to_client = fabric_.way({server.node}, {client.node});
  } else if (!is_free("network")) {
    const bool live = store.speaks_resp() && client.host->live().drives(LiveLane::kResp);
    if (!store.local() && !live) options.round_trip = plan_.network.loopback_round_trip;
  }
  wires_.push_back(std::make_unique<Wire>(tasks_, options));
  return *wires_.back();
}

void Machines::check_dram() {
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances)
      instance.machine->host->dram().hold(instance.name, instance.store->dram());
}

std::vector<Machines::NamedStore> Machines::stores() const {
  std::vector<NamedStore> out;
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances)
      out.push_back({instance.name, instance.store.get(), group->config.name});
  return out;
}

Store& Machines::store(const std::string& name) {
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances)
      if (instance.name == name) return *instance.store;
  throw ConfigError("no store called " + name);
}

Disk& Machines::disk(const std::string& name) {
  for (const auto& machine : machines_)
    for (const std::string& own : machine->host->disk_names())
      if (machine->host->name() + "." + own == name) return *machine->host->disk(own);
  throw ConfigError("no disk called " + name);
}

std::vector<std::size_t> Machines::nodes_that_ask(const std::string& store) const {
  std::vector<std::size_t> out;
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances) {
      if (instance.name != store) continue;
      for (std::size_t node = 0; node < accesses_.size(); ++node) {
        const Access& access = *accesses_[node];
        const auto& shards = access.routes.at(group->config.name).shards;
        const bool reaches = std::any_of(
            shards.begin(), shards.end(),
            [&](const StoreRoute::Shard& shard) { return shard.store == instance.store.get(); });
        if (reaches && access.asked.contains(group->config.name)) out.push_back(node);
      }
    }
  return out;
}

std::vector<std::string> Machines::node_names() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i) out.push_back(machines_[i]->host->name());
  return out;
}

std::vector<std::string> Machines::stores_on(std::size_t node) const {
  std::vector<std::string> out;
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances)
      if (instance.machine == machines_[node].get()) out.push_back(instance.name);
  return out;
}

std::vector<std::string> Machines::unreached_stores() const {
  std::vector<std::string> out;
  for (const auto& group : groups_) {
    const std::string& name = group->config.name;
    if (std::none_of(accesses_.begin(), accesses_.end(),
                     [&](const auto& access) { return access->asked.contains(name); }))
      out.push_back('"' + name + '"');
  }
  return out;
}

std::vector<Machines::NamedDisk> Machines::disks() const {
  std::vector<NamedDisk> out;
  for (const auto& machine : machines_) {
    auto kind = machine->disk_kinds.begin();
    for (const std::string& name : machine->host->disk_names())
      out.push_back(
          {machine->host->name() + "." + name, *kind++, machine->host->disk(name)->use()});
  }
  return out;
}

std::int64_t Machines::dedicated_hosts() const {
  return static_cast<std::int64_t>(machines_.size() - plan_.nodes.size());
}

Bandwidth Machines::network_cards() const {
  Bandwidth out{0};
  for (const auto& machine : machines_)
    if (fabric_.reached(machine->node)) out += machine->cards;
  return out;
}

std::vector<ResourceUse> Machines::resources() const {
  std::vector<ResourceUse> out = fabric_.resources();
  for (const auto& machine : machines_)
    for (ResourceUse& use : machine->host->resources()) out.push_back(std::move(use));
  for (const auto& group : groups_)
    for (const StoreGroup::Instance& instance : group->instances)
      for (ResourceUse& use : instance.store->resources()) out.push_back(std::move(use));
  return out;
}

}  // namespace kvsim
