// One process's client of a store: its threads, its CPU, the wire.
//
//   command = client CPU (serialise, send) -> wire -> store -> wire beside client CPU (receive)
//
// A client that `streams` reads while a server on the same machine writes, and writes while it
// reads what the sockets' buffers have no room for: the longer of the two counts, where both have a
// core.
//
// An event loop serves what is ready in turns, a piece of a large value at a time: its commands
// share its one thread. A pool of blocking threads holds one for the whole command. Sources:
// spec/lmcache.md section 5 (one Python thread per worker process, 1 to 2 GB/s UNCERTAIN; resp:// 8
// threads).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/event_loop.hpp"
#include "sim/store/host.hpp"
#include "sim/store/store.hpp"
#include "sim/store/wire.hpp"

namespace kvsim {

// Where a store's values lie: one server, or several that share the keys.
struct StoreRoute {
  struct Shard {
    Store* store = nullptr;
    Wire* wire = nullptr;
    Host* host = nullptr;  // that the store runs on
  };
  std::vector<Shard> shards;
  bool free_client = false;  // what-if: clients of it spend no time and have threads enough
  [[nodiscard]] const Shard& of(StoreKey key) const { return shards[key % shards.size()]; }
};

// What a process on one machine may reach.
class StoreAccess {
 public:
  virtual ~StoreAccess() = default;
  // ConfigError listing the names when there is none such.
  [[nodiscard]] virtual const StoreRoute& find(const std::string& name) = 0;
};

struct ClientOptions {
  std::int64_t threads = 1;
  bool blocking = false;
  Seconds command{0};    // CPU for one command, whatever its size
  Bandwidth receive{0};  // one thread's rate of taking a value in; 0 = free
  Bandwidth send{0};
  bool streams = false;

  template <class F>
  void fields(F& f) {
    f.optional("threads", threads, Range{1, 1024}, "Threads that share a client's work.");
    f.optional("blocking", blocking, "A command keeps its thread until it is answered.");
    f.optional("command_s", command, Range{0, 1}, "CPU of one command, whatever its size.");
    f.optional("receive_bytes_per_s", receive, Range{0, 1e12},
               "One thread's rate of receiving values; 0 = costs nothing.");
    f.optional("send_bytes_per_s", send, Range{0, 1e12}, "The same of sending.");
    f.optional("streams", streams,
               "Over loopback a value is sent while it is received. Default: one after the other, "
               "as the assumed rates have it.");
  }
};

class StoreClient {
 public:
  StoreClient(Tasks& tasks, Host& host, const StoreRoute& route, std::string name,
              const ClientOptions& options, std::int64_t first_connection);

  // Carries the command out; its answer and times are in it then. It must outlive the call.
  [[nodiscard]] Task run(Command& command);
  // Of one get on an idle system, for decisions.
  [[nodiscard]] Seconds estimate_get(Bytes bytes) const;
  // What work() takes of one thread.
  [[nodiscard]] Seconds estimate_work(Seconds cpu) const { return free() ? Seconds(0) : cpu; }
  // Work of the client's own threads: decoding, copying into place.
  [[nodiscard]] Task work(Seconds cpu, StageTimes& times);
  // They sleep: costs time also where work is free.
  [[nodiscard]] Task pause(Seconds time, StageTimes& times);
  [[nodiscard]] ResourceUse use() const;

 private:
  // What-if, or a live lane spends it.
  [[nodiscard]] bool free() const {
    return route_.free_client ||
           (host_.live().drives(LiveLane::kResp) && route_.shards.front().store->speaks_resp());
  }
  [[nodiscard]] Task ask(Command& command, const StoreRoute::Shard& shard);
  [[nodiscard]] Task ask_live(Command& command, const StoreRoute::Shard& shard);
  // Work for a command: by the thread that it holds, or in turns.
  [[nodiscard]] Task spend(Seconds cpu, Seconds& total);
  [[nodiscard]] Task receive(Command& command, Wire& wire);
  [[nodiscard]] Task send(Command& command, Wire& wire);
  [[nodiscard]] Task one_way(Task move, Seconds& total);
  // Both at once, while the store serves it.
  [[nodiscard]] Task stream(Command& command, const StoreRoute::Shard& shard);
  [[nodiscard]] Task send_streamed(ValueStream& value, Seconds& total, Signal& done);
  [[nodiscard]] Task receive_streamed(ValueStream& value, Seconds& total, Signal& done);
  [[nodiscard]] static Seconds at_rate(Bytes bytes, Bandwidth rate) {
    return rate > Bandwidth(0) ? bytes / rate : Seconds(0);
  }

  Tasks& tasks_;
  Host& host_;
  const StoreRoute& route_;
  ClientOptions options_;
  Threads threads_;  // blocking
  EventLoop loop_;   // not blocking
  std::int64_t first_connection_;
  std::int64_t in_flight_ = 0;  // a command goes over the next free connection
};

}  // namespace kvsim
