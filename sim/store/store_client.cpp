#include "sim/store/store_client.hpp"

namespace kvsim {

namespace {

// Verb, key and framing; the bytes of a value come on top.
constexpr Bytes kHeader{128};

Task beside(Task work, Signal& done) {
  co_await std::move(work);
  done.fire();
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

}  // namespace

StoreClient::StoreClient(Tasks& tasks, Host& host, const StoreRoute& route, std::string name,
                         const ClientOptions& options, std::int64_t first_connection)
    : tasks_(tasks),
      host_(host),
      route_(route),
      options_(options),
      threads_(tasks, std::move(name), "client", static_cast<std::int32_t>(options.threads)),
      first_connection_(first_connection) {}

Task StoreClient::work(Seconds cpu, StageTimes& times) {
  const Stopwatch watch(tasks_, times[Stage::kClient]);
  const Hold thread = co_await threads_.acquire();
  co_await host_.compute(cpu);
}

Task StoreClient::send(Command& command, Wire& wire) {
  const Bytes payload = command.verb == Verb::kPut ? command.bytes : Bytes(0);
  const Seconds cpu = options_.command + at_rate(payload, options_.send);
  threads_.count_bytes(payload);
  if (wire.loopback() || payload == Bytes(0)) {
    if (options_.blocking) {
      const Stopwatch watch(tasks_, command.times[Stage::kClient]);
      co_await host_.compute(cpu);
    } else {
      co_await work(cpu, command.times);
    }
    const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
    co_await wire.send(kHeader + payload);
    co_return;
  }
  Signal sent(tasks_);
  tasks_.start(beside(wire.send(kHeader + payload), sent));
  if (options_.blocking) {
    const Stopwatch watch(tasks_, command.times[Stage::kClient]);
    co_await host_.compute(cpu);
  } else {
    co_await work(cpu, command.times);
  }
  const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
  co_await sent.wait();
}

Task StoreClient::receive(Command& command, Wire& wire) {
  const bool value = command.verb == Verb::kGet && command.answer == Answer::kFound;
  const Bytes payload = value ? command.bytes : Bytes(0);
  const Seconds cpu = at_rate(payload, options_.receive);
  threads_.count_bytes(payload);
  Signal received(tasks_);
  const bool both = !wire.loopback() && value;
  if (both) {
    tasks_.start(beside(wire.receive(kHeader + payload), received));
  } else {
    const Stopwatch watch(tasks_, command.times[Stage::kNetwork]);
    co_await wire.receive(kHeader + payload);
  }
  if (options_.blocking) {
    const Stopwatch watch(tasks_, command.times[Stage::kClient]);
    co_await host_.compute(cpu);
  } else if (cpu > Seconds(0)) {
    co_await work(cpu, command.times);
  }
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
  co_await send(command, *shard.wire);
  co_await shard.store->serve(command);
  co_await receive(command, *shard.wire);
  --in_flight_;
}

Seconds StoreClient::estimate_get(Bytes bytes) const {
  const StoreRoute::Shard& shard = route_.shards.front();
  return options_.command + shard.wire->round_trip() + shard.wire->estimate(bytes) +
         shard.store->estimate_get(bytes) + at_rate(bytes, options_.receive);
}

}  // namespace kvsim
