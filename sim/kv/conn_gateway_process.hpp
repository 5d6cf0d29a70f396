// A process between clients and a store, one key for each chunk and rank: it takes a request with
// one or several keys, asks the store, and sends the reply on.
//
// A thread keeps its request until the store has answered. Several keys of one request are one
// MGET or MSET: one round trip, the store serves them one after the other and sends the reply when
// it is complete; so does the process. Source: none measured; the costs are options, assumed.
//
// Left out: the memory of replies, a client library that splits a request over connections.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/host_services.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {

struct GatewayProcessOptions {
  std::string mode = "multi-get";
  std::string place = "client";
  std::int64_t threads = 8;
  std::int64_t batch = 0;
  Seconds command{20e-6};
  Bandwidth receive{2e9};
  Bandwidth send{2e9};
  Seconds loopback{30e-6};

  template <class F>
  void fields(F& f) {
    f.choice("mode", mode, {"multi-get", "threads"},
             "multi-get: one thread, all keys of a request at once; threads: one key each.");
    f.choice("place", place, {"client", "store"},
             "On the machine of its clients, or on the store's (which may be dedicated).");
    f.optional("threads", threads, Range{1, 1024}, "Threads, where each takes one key.");
    f.optional("batch_keys", batch, Range{0, 1e6}, "Keys of a multi-get; 0 = all of a request.");
    f.optional("command_s", command, Range{0, 1}, "CPU for each key. Default: assumed.");
    f.optional("receive_bytes_per_s", receive, Range{0, 1e12},
               "A thread's rate of taking values in; 0 = free. Default: assumed.");
    f.optional("send_bytes_per_s", send, Range{0, 1e12}, "The same of sending.");
    f.optional("loopback_round_trip_s", loopback, Range{0, 1},
               "To whom it shares its machine with. Default: assumed, as the network's.");
  }
  [[nodiscard]] bool one_key() const { return mode == "threads"; }
};

// Keys, framing and values of commands on their way, and back.
[[nodiscard]] Bytes bytes_out(const std::vector<Command>& commands);
[[nodiscard]] Bytes bytes_back(const std::vector<Command>& commands);

class GatewayProcess : public HostService {
 public:
  using Options = GatewayProcessOptions;
  // `host`: where it runs. Its CPU is free where that of the store's clients is (what-if).
  // ConfigError when it shall run beside a store that is on many machines.
  GatewayProcess(Tasks& tasks, Host& host, const StoreRoute& route, const std::string& name,
                 const Options& options);

  // A request that has arrived, until its reply may leave; all of one verb.
  [[nodiscard]] Task serve(std::vector<Command>& commands);
  [[nodiscard]] ResourceUse use() const { return threads_.use(); }
  // Where a gateway to this store runs.
  [[nodiscard]] static Host& host_of(const Options& options, Host& client, const StoreRoute& route);

 private:
  [[nodiscard]] Task ask(const StoreRoute::Shard& shard, std::vector<Command*> commands);
  [[nodiscard]] Task spend(std::size_t keys, Bytes received, Bytes sent);

  Tasks& tasks_;
  Host& host_;
  const StoreRoute& route_;
  Options options_;
  Threads threads_;
  Wire loopback_;
};

}  // namespace kvsim
