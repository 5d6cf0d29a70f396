// No router: clients talk to a Kubernetes Service. kube-proxy picks a replica at random for each
// connection, not for each request, and a client that keeps its connections open stays with the
// replicas it got: with few connections some replicas stay idle for good (Kubernetes documentation,
// "Virtual IPs and Service Proxies", iptables mode).
//
// A request takes the longest-standing connection that is idle, as the pools of httpx and similar
// clients do, or opens one.
// Left out: several pools (load generators with many processes), connections of HTTP/2 that carry
// many requests at once, replicas that are added: old connections do not move to them.
#include <functional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class ConnectionRouter final : public Router {
 public:
  struct Options {
    Seconds keep_alive{5};
    template <class F>
    void fields(F& f) {
      f.optional("keep_alive_s", keep_alive, Range{0, 1e9},
                 "A connection idle for longer is closed. Default: that of uvicorn and of httpx.");
    }
  };
  ConnectionRouter(const Options& options, const Context& context)
      : options_(options), rng_(stream(context.seed, "router/connection")) {}

  Decision route(const Ask& ask, const ClusterView& view) override {
    const std::size_t number = take_idle();
    Connection& connection = connections_[number];
    if (!usable(connection, view)) {
      const std::size_t ready = count_ready(view);
      connection.replica =
          to_replica(ready == 0 ? kNoReplica : nth_ready(view, rng_.below(ready))).replica;
    }
    const std::int32_t replica = connection.replica;
    if (replica < 0) {
      idle_.push(number);
    } else {
      in_use_[ask.number] = number;
    }
    return {replica};
  }

  void ended(std::int64_t number, Seconds now) override {
    const auto at = in_use_.find(number);
    if (at == in_use_.end()) return;
    connections_[at->second].idle_since = now;
    idle_.push(at->second);
    in_use_.erase(at);
  }

  void lost(std::int32_t replica) override {
    for (Connection& connection : connections_)
      if (connection.replica == replica) connection.replica = kClosed;
  }

 private:
  static constexpr std::int32_t kClosed = -1;
  struct Connection {
    std::int32_t replica = kClosed;
    Seconds idle_since{0};
  };

  std::size_t take_idle() {
    if (idle_.empty()) {
      connections_.emplace_back();
      return connections_.size() - 1;
    }
    const std::size_t number = idle_.top();
    idle_.pop();
    return number;
  }
  [[nodiscard]] bool usable(const Connection& connection, const ClusterView& view) const {
    return connection.replica != kClosed &&
           view.now <= connection.idle_since + options_.keep_alive &&
           view.replicas[static_cast<std::size_t>(connection.replica)].ready;
  }

  Options options_;
  Rng rng_;
  std::vector<Connection> connections_;
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> idle_;
  std::unordered_map<std::int64_t, std::size_t> in_use_;  // by Ask::number; never iterated
};

const Register<Router, ConnectionRouter> kRegistered(
    "connection", "None: each connection goes to a replica at random and stays there.");

}  // namespace
}  // namespace kvsim
