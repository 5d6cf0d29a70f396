#include "sim/store/fabric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

constexpr Bandwidth kOpen{1e18};
constexpr Bandwidth kShut{1e-6};  // a gigabyte takes longer than any run

// Waits for a transfer over shared links.
struct Transfer {
  Tasks& tasks;
  World::PathId path;
  Bytes bytes;
  [[nodiscard]] bool await_ready() const { return bytes == Bytes(0); }
  void await_suspend(std::coroutine_handle<> handle) {
    tasks.world().transfer(path, bytes, [&owner = tasks, handle](Seconds) { owner.wake(handle); });
  }
  void await_resume() const {}
};

// Waits among `waiting` to be woken.
struct Parked {
  std::vector<std::coroutine_handle<>>& waiting;
  [[nodiscard]] bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiting.push_back(handle); }
  void await_resume() const {}
};

}  // namespace

struct Fabric::State {
  struct Link {
    std::string name;
    World::LinkId id;
    Bandwidth rate{0};
    Bytes bytes{0};
    bool used = false;
  };
  struct Pair {  // of links, by index
    std::size_t out;
    std::size_t in;
  };
  struct Port {
    NodeId node;
    Pair links;
  };
  struct Machine {
    std::string name;
    Node node;
    Pair links;
  };
  struct Rack {
    std::vector<Pair> uplinks;  // made when the first way leaves it
  };
  struct Way {
    NodeId from;
    NodeId to;
    std::vector<std::size_t> links;
    World::PathId path;
    World::LinkId gate;    // shut by a partition
    Bandwidth rate{0};     // of the narrowest link
    bool crosses = false;  // racks
    std::int32_t cuts = 0;
  };
  using Place = std::tuple<NodeId, std::int32_t, NodeId, std::int32_t>;
  using Cards = std::tuple<NodeId, std::int64_t, std::int64_t>;

  Tasks& tasks;
  Options options;
  std::vector<Link> links;
  std::vector<Machine> machines;
  std::vector<Port> ports;
  std::vector<Rack> racks;
  std::deque<Way> ways;  // whose addresses moves keep
  std::map<Place, WayId> known_ways;
  std::map<Cards, std::int32_t> known_ports;
  std::vector<std::coroutine_handle<>> waiting;  // for a way to be whole again
  std::vector<char> inside;                      // scratch of partition()

  State(Tasks& owner, const Options& given) : tasks(owner), options(given) {}

  Pair add_links(const std::string& name, const std::string& out, const std::string& in,
                 Bandwidth rate) {
    for (const std::string& side : {out, in})
      links.push_back(
          {name + side, tasks.world().add_link(name + side, rate), rate, Bytes(0), false});
    return {links.size() - 2, links.size() - 1};
  }
  Bandwidth line(Bandwidth nominal) const { return nominal * (options.efficiency * options.speed); }
  std::size_t rack_of(NodeId node) const {
    if (options.nodes_per_rack == 0) return 0;
    return static_cast<std::size_t>(node / options.nodes_per_rack);
  }
  const Pair& uplink(std::size_t rack, std::uint64_t hash);
  void cross_racks(Way& way);
  void set_share(const Pair& pair, double share);
};

// One of the rack's ways to the spine.
const Fabric::State::Pair& Fabric::State::uplink(std::size_t rack, std::uint64_t hash) {
  if (racks.size() <= rack) racks.resize(rack + 1);
  std::vector<Pair>& uplinks = racks[rack].uplinks;
  if (uplinks.empty()) {
    const auto nodes = static_cast<std::size_t>(options.nodes_per_rack);
    const Node& first = machines[rack * nodes].node;
    const Bandwidth all =
        line(first.card * (static_cast<double>(first.cards) * static_cast<double>(nodes) /
                           options.oversubscription));
    const std::int64_t count = options.ecmp ? options.uplinks : 1;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string name =
          fmt::format("rack-{}{}", rack, count > 1 ? fmt::format(".{}", i) : "");
      uplinks.push_back(add_links(name, ".up", ".down", all / static_cast<double>(count)));
    }
  }
  return uplinks[hash % uplinks.size()];
}

// Equal-cost paths are picked by the hash of a connection's ends, for each hop on its own; the
// connections of a way stay, so all its moves take the same.
void Fabric::State::cross_racks(Way& way) {
  const std::size_t from = rack_of(way.from);
  const std::size_t to = rack_of(way.to);
  if (from == to) return;
  way.crosses = true;
  const auto draw = [&](const char* hop) {
    return hash_name(fmt::format("{}/{}/{}", options.seed, hop, ways.size()));
  };
  way.links.push_back(uplink(from, draw("up")).out);
  way.links.push_back(uplink(to, draw("down")).in);
}

void Fabric::State::set_share(const Pair& pair, double share) {
  for (const std::size_t index : {pair.out, pair.in}) {
    const Link& link = links[index];
    tasks.world().set_bandwidth(link.id, std::max(link.rate * share, kShut));
  }
}

Fabric::Fabric(Tasks& tasks, const Options& options)
    : state_(std::make_unique<State>(tasks, options)) {}
Fabric::~Fabric() = default;

Fabric::NodeId Fabric::add_node(const std::string& name, const Node& node) {
  State& state = *state_;
  Bandwidth together = state.line(node.card * static_cast<double>(node.cards));
  if (node.host > Bandwidth(0)) together = std::min(together, node.host * state.options.speed);
  state.machines.push_back({name, node, state.add_links(name, ".nic.out", ".nic.in", together)});
  return static_cast<NodeId>(state.machines.size() - 1);
}

std::int32_t Fabric::add_port(NodeId node, const std::string& name, double cards) {
  State& state = *state_;
  const State::Machine& machine = state.machines.at(static_cast<std::size_t>(node));
  const Bandwidth rate = state.line(machine.node.card * cards);
  state.ports.push_back(
      {node, state.add_links(machine.name + "." + name, ".nic.out", ".nic.in", rate)});
  return static_cast<std::int32_t>(state.ports.size() - 1);
}

std::int32_t Fabric::port_near(NodeId node, std::int64_t first, std::int64_t gpus,
                               std::int64_t all) {
  const std::int64_t cards = state_->machines.at(static_cast<std::size_t>(node)).node.cards;
  const std::int64_t begin = first * cards / all;
  const std::int64_t end = std::max(begin + 1, groups_of((first + gpus) * cards, all));
  if (end - begin >= cards) return kAnyPort;
  const auto [at, added] = state_->known_ports.try_emplace({node, begin, end}, kAnyPort);
  if (added)
    at->second = add_port(node, fmt::format("card-{}", begin), static_cast<double>(end - begin));
  return at->second;
}

Fabric::WayId Fabric::way(End from, End to) {
  State& state = *state_;
  const auto next = static_cast<WayId>(state.ways.size());
  const auto [at, added] =
      state.known_ways.try_emplace({from.node, from.port, to.node, to.port}, next);
  if (!added) return at->second;
  State::Way way;
  way.from = from.node;
  way.to = to.node;
  if (from.node != to.node) {
    const auto machine = [&](NodeId node) -> const State::Machine& {
      return state.machines.at(static_cast<std::size_t>(node));
    };
    const auto port = [&](std::int32_t id) -> const State::Port& {
      return state.ports.at(static_cast<std::size_t>(id));
    };
    if (from.port != kAnyPort) way.links.push_back(port(from.port).links.out);
    way.links.push_back(machine(from.node).links.out);
    state.cross_racks(way);
    way.links.push_back(machine(to.node).links.in);
    if (to.port != kAnyPort) way.links.push_back(port(to.port).links.in);
    way.gate = state.tasks.world().add_link(fmt::format("gate-{}", next), kOpen);
    std::vector<World::LinkId> path = {way.gate};
    way.rate = kOpen;
    for (const std::size_t index : way.links) {
      State::Link& link = state.links[index];
      link.used = true;
      way.rate = std::min(way.rate, link.rate);
      path.push_back(link.id);
    }
    way.path = state.tasks.world().add_path(path);
  }
  state.ways.push_back(std::move(way));
  return next;
}

Task Fabric::move(WayId id, Bytes bytes, std::int64_t streams) {
  State& state = *state_;
  Tasks& tasks = state.tasks;
  State::Way& way = state.ways[static_cast<std::size_t>(id)];
  if (way.from == way.to) co_return;
  while (way.cuts > 0) co_await Parked{state.waiting};
  co_await tasks.sleep(round_trip(id) / 2);
  while (way.cuts > 0) co_await Parked{state.waiting};
  const Seconds began = tasks.now();
  co_await Transfer{tasks, way.path, bytes};
  for (const std::size_t index : way.links) state.links[index].bytes += bytes;
  if (streams == kLineRate || state.options.stream <= Bandwidth(0)) co_return;
  const Bandwidth most = state.options.stream * static_cast<double>(streams);
  co_await tasks.sleep(began + bytes / most - tasks.now());
}

bool Fabric::reached(NodeId node) const {
  return state_->links[state_->machines.at(static_cast<std::size_t>(node)).links.out].used ||
         state_->links[state_->machines.at(static_cast<std::size_t>(node)).links.in].used;
}

bool Fabric::same_machine(WayId id) const {
  const State::Way& way = state_->ways[static_cast<std::size_t>(id)];
  return way.from == way.to;
}

Seconds Fabric::round_trip(WayId id) const {
  const State::Way& way = state_->ways[static_cast<std::size_t>(id)];
  if (way.from == way.to) return Seconds(0);
  const Options& options = state_->options;
  return way.crosses ? options.round_trip + options.spine_round_trip : options.round_trip;
}

Bandwidth Fabric::rate(WayId id, std::int64_t streams) const {
  const State::Way& way = state_->ways[static_cast<std::size_t>(id)];
  const Bandwidth stream = state_->options.stream;
  if (streams == kLineRate || stream <= Bandwidth(0)) return way.rate;
  return std::min(way.rate, stream * static_cast<double>(streams));
}

Seconds Fabric::estimate(WayId id, Bytes bytes, std::int64_t streams) const {
  if (same_machine(id)) return Seconds(0);
  return round_trip(id) + bytes / rate(id, streams);
}

void Fabric::degrade(NodeId node, double share) {
  State& state = *state_;
  state.set_share(state.machines.at(static_cast<std::size_t>(node)).links, share);
  for (const State::Port& port : state.ports)
    if (port.node == node) state.set_share(port.links, share);
}

void Fabric::partition(const std::vector<NodeId>& nodes, bool cut) {
  State& state = *state_;
  state.inside.assign(state.machines.size(), 0);
  for (const NodeId node : nodes) state.inside.at(static_cast<std::size_t>(node)) = 1;
  for (State::Way& way : state.ways) {
    const char from = state.inside[static_cast<std::size_t>(way.from)];
    if (from == state.inside[static_cast<std::size_t>(way.to)]) continue;
    way.cuts += cut ? 1 : -1;
    KV_CHECK(way.cuts >= 0, "a partition taken back that was not there");
    if (way.cuts == (cut ? 1 : 0)) state.tasks.world().set_bandwidth(way.gate, cut ? kShut : kOpen);
  }
  if (cut) return;
  for (const std::coroutine_handle<> handle : state.waiting) state.tasks.wake(handle);
  state.waiting.clear();
}

bool Fabric::cut(WayId way) const { return state_->ways[static_cast<std::size_t>(way)].cuts > 0; }

std::vector<ResourceUse> Fabric::resources() const {
  std::vector<ResourceUse> out;
  for (const State::Link& link : state_->links)
    if (link.used)
      out.push_back({.name = link.name,
                     .kind = "network",
                     .busy = link.bytes / link.rate,
                     .bytes = link.bytes});
  return out;
}

}  // namespace kvsim
