// How long the simulator takes for a command of a store: not simulated time, the machine's.
// Usage: bench_stores
#include <fmt/format.h>

#include <chrono>

#include "sim/base/rng.hpp"
#include "tests/store_world.hpp"

namespace kvsim {
namespace {

constexpr int kCommands = 200'000;

// One client that asks for one thing after another, so that nothing else is measured.
Task ask(StoreWorld& world, Store& store, Verb verb, int connection) {
  Rng rng(static_cast<std::uint64_t>(connection));
  for (int i = 0; i < kCommands / 8; ++i) {
    Command command{.verb = verb,
                    .key = mix64(1 + rng.below(2000)),
                    .bytes = Bytes(2 << 20),
                    .connection = connection};
    co_await store.serve(command);
    co_await world.tasks.sleep(Seconds(1e-2));
  }
}

void measure(StoreWorld& world, const std::string& kind, const Json& config, Verb verb) {
  const auto store = world.make(config);
  for (StoreKey key = 1; key <= 1000; ++key) (void)store->preload(mix64(key), Bytes(2 << 20));
  const std::uint64_t events = world.world.events();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 8; ++i) world.tasks.start(ask(world, *store, verb, i));
  world.world.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("{:10} {}  {:.2f} us a command, {:.1f} events\n", kind,
             verb == Verb::kGet ? "get" : "put", took.count() / kCommands * 1e6,
             static_cast<double>(world.world.events() - events) / kCommands);
}

}  // namespace
}  // namespace kvsim

// One world a process: say which store, and get or put.
int main(int count, char** arguments) {
  using namespace kvsim;
  if (count != 3) {
    fmt::print("usage: bench_stores redis|valkey|kvrocks|files|mooncake get|put\n");
    return 2;
  }
  const std::string kind = arguments[1];
  Json config = {{"kind", kind}};
  if (kind == "redis" || kind == "valkey") {
    config["maxmemory_bytes"] = 3'000'000'000;
    config["maxmemory_policy"] = "allkeys-lru";
  } else if (kind == "mooncake") {
    config["segment_bytes"] = 3'000'000'000;
  } else {
    config["disk"] = "ssd";
  }
  StoreWorld world({.disk_rate = Bandwidth(20e9)});
  measure(world, kind, config, std::string(arguments[2]) == "get" ? Verb::kGet : Verb::kPut);
  std::fflush(stdout);
  std::_Exit(0);
}
