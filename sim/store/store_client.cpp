#include "sim/store/store_client.hpp"

#include <algorithm>

namespace kvsim {

namespace {

// Verb, key and framing; the bytes of a value come on top.
constexpr Bytes kHeader{128};
// In how many pieces the one end follows what the other has done of a value: both work on it at the
// same time, segment by segment. More change the times by less than a twentieth.
constexpr std::int64_t kPieces = 8;

Task beside(Task work, Signal& done) {
  co_await std::move(work);
  done.fire();
}

// As the bench of RESP servers calls it.
const char* live_name(const Command& command) {
  switch (command.verb) {
    case Verb::kPut:
      return "set";
    case Verb::kGet:
      return command.answer == Answer::kFound ? "get" : "get/missing";
    case Verb::kExists:
    case Verb::kRemove:
      break;
  }
  return "exists";
}

// Adds to `total` what passes until it goes.
class Stopwatch {
 public:
  Stopwatch(Tasks& tasks, Seconds& total) : tasks_(tasks), total_(total), began_(tasks.now()) {}
  ~Stopwatch() { total_ += tasks_.now() - began_; }
  Stopwatch(const Stopwatch&) = delete;

 private:
  Tasks& tasks_;
  Seconds& total_;
  Seconds began_;
};

// Whether a value comes back.
bool is_reply(const Command& command) {
  return command.verb == Verb::kGet && command.answer == Answer::kFound;
}

}  // namespace

StoreClient::StoreClient(Tasks& tasks, Host& host, const StoreRoute& route, std::string name,
                         const ClientOptions& options, std::int64_t first_connection)
    : tasks_(tasks),
      host_(host),
      route_(route),
      options_(options),
      threads_(tasks, name, "client", static_cast<std::int32_t>(options.threads)),
      loop_(host, name, "client", options.threads),
      first_connection_(first_connection) {
  if (!free()) return;
  options_.blocking = false;  // nobody waits for a thread
  options_.command = Seconds(0);
  options_.receive = options_.send = Bandwidth(0);
}

Task StoreClient::spend(Seconds cpu, Seconds& total) {
  if (free()) co_return;
  const Stopwatch watch(tasks_, total);
  if (options_.blocking) {
    co_await host_.compute(cpu);
  } else {
    co_await loop_.compute(cpu);
  }
}

Task StoreClient::work(Seconds cpu, StageTimes& times) {
  const Seconds entered = tasks_.now();
  Hold thread;
  if (options_.blocking) thread = co_await threads_.acquire();
  times[Stage::kClient] += tasks_.now() - entered;
  co_await spend(cpu, times[Stage::kClient]);
}

Task StoreClient::pause(Seconds time, StageTimes& times) {
  if (!free()) {
    co_await work(time, times);
    co_return;
  }
  const Stopwatch watch(tasks_, times[Stage::kClient]);
  co_await tasks_.sleep(time);
}

Task StoreClient::one_way(Task move, Seconds& total) {
  const Stopwatch watch(tasks_, total);
  co_await std::move(move);
}

ResourceUse StoreClient::use() const {
  if (options_.blocking) return threads_.use();
  ResourceUse out = loop_.use_so_far();
  out.bytes = threads_.use().bytes;
  return out;
}

Task StoreClient::send(Command& command, Wire& wire) {
  const Bytes payload = command.verb == Verb::kPut ? command.bytes : Bytes(0);
  const Seconds cpu = options_.command + at_rate(payload, options_.send);
  threads_.count_bytes(payload);
  const bool both = !wire.loopback() && payload > Bytes(0);
  Signal sent(tasks_);
  if (both) tasks_.start(beside(wire.send(kHeader + payload), sent));
  co_await spend(cpu, command.times[Stage::kClient]);
  const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
  if (both) {
    co_await sent.wait();
  } else {
    co_await wire.send(kHeader + payload);
  }
}

Task StoreClient::receive(Command& command, Wire& wire) {
  const bool value = is_reply(command);
  const Bytes payload = value ? command.bytes : Bytes(0);
  threads_.count_bytes(payload);
  const bool both = !wire.loopback() && value;
  Signal received(tasks_);
  if (both) {
    tasks_.start(beside(wire.receive(kHeader + payload), received));
  } else {
    const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
    co_await wire.receive(kHeader + payload);
  }
  co_await spend(at_rate(payload, options_.receive), command.times[Stage::kClient]);
  if (!both) co_return;
  const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
  co_await received.wait();
}

Task StoreClient::run(Command& command) {
  const StoreRoute::Shard& shard = route_.of(command.key);
  const Seconds entered = tasks_.now();
  Hold thread;
  if (options_.blocking) thread = co_await threads_.acquire();
  command.times[Stage::kClient] += tasks_.now() - entered;
  command.connection = first_connection_ + in_flight_++;
  if (host_.live().lanes != nullptr && shard.store->speaks_resp()) {
    co_await ask_live(command, shard);
  } else {
    co_await ask(command, shard);
  }
  --in_flight_;
}

Task StoreClient::ask(Command& command, const StoreRoute::Shard& shard) {
  if (options_.streams && shard.wire->loopback() && shard.store->streams()) {
    co_await stream(command, shard);
    co_return;
  }
  co_await send(command, *shard.wire);
  co_await shard.store->serve(command);
  co_await receive(command, *shard.wire);
}

Task StoreClient::ask_live(Command& command, const StoreRoute::Shard& shard) {
  LiveFlight flight(tasks_, host_.live(), LiveLane::kResp);
  const Seconds disk = command.times[Stage::kDisk];
  co_await ask(command, shard);
  co_await flight.end(live_name(command), std::max(command.bytes, Bytes(1)),
                      command.times[Stage::kDisk] - disk);
}

Task StoreClient::stream(Command& command, const StoreRoute::Shard& shard) {
  const bool puts = command.verb == Verb::kPut;
  co_await spend(options_.command, command.times[Stage::kClient]);
  co_await one_way(shard.wire->send(kHeader), command.times[Stage::kNetwork]);
  Seconds beside_server{0};
  Signal done(tasks_);
  ValueStream value(tasks_, kPieces);
  value.bytes = puts ? command.bytes : Bytes(0);
  tasks_.start(puts ? send_streamed(value, beside_server, done)
                    : receive_streamed(value, beside_server, done));
  command.stream = &value;
  co_await shard.store->serve(command);
  command.stream = nullptr;
  value.leave_all();  // there was none, or it failed in the middle
  co_await done.wait();
  command.times[Stage::kClient] += beside_server;
  co_await one_way(shard.wire->receive(kHeader), command.times[Stage::kNetwork]);
}

Task StoreClient::send_streamed(ValueStream& value, Seconds& total, Signal& done) {
  threads_.count_bytes(value.bytes);
  for (std::int64_t i = 0; i < value.pieces(); ++i) {
    co_await spend(at_rate(value.bytes, options_.send) / static_cast<double>(value.pieces()),
                   total);
    value.leave(i);
  }
  done.fire();
}

Task StoreClient::receive_streamed(ValueStream& value, Seconds& total, Signal& done) {
  for (std::int64_t i = 0; i < value.pieces(); ++i) {
    co_await value.left(i);
    co_await spend(at_rate(value.bytes, options_.receive) / static_cast<double>(value.pieces()),
                   total);
  }
  threads_.count_bytes(value.bytes);
  done.fire();
}

Seconds StoreClient::estimate_get(Bytes bytes) const {
  const StoreRoute::Shard& shard = route_.shards.front();
  return options_.command + shard.wire->round_trip() + shard.wire->estimate(bytes) +
         shard.store->estimate_get(bytes) + at_rate(bytes, options_.receive);
}

}  // namespace kvsim
