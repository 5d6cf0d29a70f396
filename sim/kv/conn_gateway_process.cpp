#include "sim/kv/conn_gateway_process.hpp"

#include <map>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

// Verb, key and framing.
constexpr Bytes kHeader{128};

Seconds at_rate(Bytes bytes, Bandwidth rate) {
  return rate > Bandwidth(0) ? bytes / rate : Seconds(0);
}

Bytes value_out(const Command& command) {
  return command.verb == Verb::kPut ? command.bytes : Bytes(0);
}
Bytes value_back(const Command& command) {
  const bool value = command.verb == Verb::kGet && command.answer == Answer::kFound;
  return value ? command.bytes : Bytes(0);
}

}  // namespace

Bytes bytes_out(const std::vector<Command>& commands) {
  Bytes out{0};
  for (const Command& command : commands) out += kHeader + value_out(command);
  return out;
}

Bytes bytes_back(const std::vector<Command>& commands) {
  Bytes out{0};
  for (const Command& command : commands) out += kHeader + value_back(command);
  return out;
}

GatewayProcess::GatewayProcess(Tasks& tasks, Host& host, const StoreRoute& route,
                               const std::string& name, const Options& options)
    : tasks_(tasks),
      host_(host),
      route_(route),
      options_(options),
      threads_(tasks, name, "server",
               static_cast<std::int32_t>(options.one_key() ? options.threads : 1)),
      loopback_(tasks, {.round_trip = options.loopback}) {}

Host& GatewayProcess::host_of(const Options& options, Host& client, const StoreRoute& route) {
  if (options.place == "client") return client;
  Host* host = route.shards.front().host;
  if (route.shards.size() > 1 || host == nullptr)
    throw ConfigError(
        "place: found \"store\", and a store on several machines; allowed: \"client\"");
  return *host;
}

Task GatewayProcess::spend(std::size_t keys, Bytes received, Bytes sent) {
  threads_.count_bytes(received);
  if (route_.free_client) co_return;
  co_await host_.compute(options_.command * static_cast<double>(keys) +
                         at_rate(received, options_.receive) + at_rate(sent, options_.send));
}

Task GatewayProcess::serve(std::vector<Command>& commands) {
  const Seconds entered = tasks_.now();
  const Hold thread = co_await threads_.acquire();
  Bytes out{0};
  // By shard, in the order of the first key of each.
  std::vector<const StoreRoute::Shard*> order;
  std::map<const StoreRoute::Shard*, std::vector<Command*>> by_shard;
  for (Command& command : commands) {
    const StoreRoute::Shard* shard = &route_.of(command.key);
    if (by_shard[shard].empty()) order.push_back(shard);
    by_shard[shard].push_back(&command);
    out += value_out(command);
  }
  co_await spend(commands.size(), out, out);
  Seconds asking{0};
  for (const StoreRoute::Shard* shard : order) {
    const Seconds began = tasks_.now();
    co_await ask(*shard, by_shard[shard]);
    asking += tasks_.now() - began;
  }
  Bytes back{0};
  for (const Command& command : commands) back += value_back(command);
  co_await spend(0, back, back);
  commands.front().times[Stage::kServer] += tasks_.now() - entered - asking;
}

Task GatewayProcess::ask(const StoreRoute::Shard& shard, std::vector<Command*> commands) {
  Wire& wire = options_.place == "store" ? loopback_ : *shard.wire;
  Bytes out{0};
  for (const Command* command : commands) out += kHeader + value_out(*command);
  Seconds began = tasks_.now();
  co_await wire.send(out);
  Seconds on_wire = tasks_.now() - began;
  Bytes back{0};
  for (Command* command : commands) {
    co_await shard.store->serve(*command);
    back += kHeader + value_back(*command);
  }
  began = tasks_.now();
  co_await wire.receive(back);
  on_wire += tasks_.now() - began;
  commands.front()->times[Stage::kNetwork] += on_wire;
}

}  // namespace kvsim
