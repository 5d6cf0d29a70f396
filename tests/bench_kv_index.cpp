// Time of a KvIndex's operations: match of a prompt, adding and removing blocks. Not a test: run it
// by hand.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/kv/kv_events.hpp"
#include "sim/kv/kv_index.hpp"

namespace kvsim {
namespace {

constexpr std::int32_t kReplicas = 64;
constexpr std::int64_t kHeldBlocks = 31'250;  // by a replica

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::vector<BlockHash> prompt(std::uint64_t number, std::int64_t blocks) {
  std::vector<BlockHash> out;
  for (std::int64_t i = 0; i < blocks; ++i)
    out.push_back(mix64((number << 24) + static_cast<std::uint64_t>(i) + 1) | 1);
  return out;
}

// Prompts that fill the replicas, each held by `holders` of them.
struct World {
  World(std::int64_t blocks, std::int32_t holders) {
    const std::int64_t count =
        std::max<std::int64_t>(1, kReplicas * kHeldBlocks / blocks / holders);
    Rng rng(1);
    for (std::int64_t i = 0; i < count; ++i) {
      prompts.push_back(prompt(static_cast<std::uint64_t>(i) + 1, blocks));
      const auto first = static_cast<std::int32_t>(rng.below(kReplicas));
      for (std::int32_t h = 0; h < holders; ++h)
        for (const BlockHash hash : prompts.back()) index.add((first + h) % kReplicas, 0, hash);
    }
  }
  KvIndex index{{.replicas = kReplicas}};
  std::vector<std::vector<BlockHash>> prompts;
};

void bench_match(std::int64_t blocks, std::int32_t holders) {
  World world(blocks, holders);
  std::vector<KvMatch> matches;
  Rng rng(2);
  const auto rounds = static_cast<std::int64_t>(4'000'000 / blocks);
  std::int64_t found = 0;
  const double began = cpu_seconds();
  for (std::int64_t i = 0; i < rounds; ++i) {
    world.index.match(world.prompts[rng.below(world.prompts.size())], matches);
    found += matches[0].all();
  }
  const double hit = (cpu_seconds() - began) / static_cast<double>(rounds);
  const std::vector<BlockHash> unknown = prompt(1ULL << 30, blocks);
  const double again = cpu_seconds();
  for (std::int64_t i = 0; i < rounds; ++i) {
    world.index.match(unknown, matches);
    found += matches[0].all();
  }
  const double miss = (cpu_seconds() - again) / static_cast<double>(rounds);
  fmt::print("{:5} blocks held by {:2} of {} replicas: hit {:7.2f} us, miss {:5.2f} us ({})\n",
             blocks, holders, kReplicas, 1e6 * hit, 1e6 * miss, found > 0 ? "some hit" : "none");
}

void bench_changes(const char* name, std::int64_t held, std::int32_t most) {
  KvIndex index({.replicas = kReplicas, .most_replicas = most});
  std::vector<BlockHash> hashes = prompt(7, held);
  double best_add = 1;
  double best_remove = 1;
  for (int round = 0; round < 3; ++round) {
    double began = cpu_seconds();
    for (std::size_t i = 0; i < hashes.size(); ++i)
      index.add(static_cast<std::int32_t>(i) % kReplicas, 0, hashes[i]);
    best_add = std::min(best_add, cpu_seconds() - began);
    began = cpu_seconds();
    for (std::size_t i = 0; i < hashes.size(); ++i)
      index.remove(static_cast<std::int32_t>(i) % kReplicas, 0, hashes[i]);
    best_remove = std::min(best_remove, cpu_seconds() - began);
  }
  const double each = 1e9 / static_cast<double>(held);
  fmt::print("{}: add {:5.0f} ns, remove {:5.0f} ns\n", name, each * best_add, each * best_remove);
}

void bench_events() {
  KvIndex index({.replicas = kReplicas});
  KvEventOptions options;
  std::vector<std::unique_ptr<KvEventLog>> logs;
  for (std::int32_t r = 0; r < kReplicas; ++r) {
    logs.push_back(std::make_unique<KvEventLog>(options, 1, r));
    index.listen(r, logs.back().get());
  }
  const std::vector<BlockHash> hashes = prompt(9, kReplicas * kHeldBlocks);
  const double began = cpu_seconds();
  std::size_t at = 0;
  double now = 0;
  while (at < hashes.size()) {
    for (auto& log : logs) {
      for (int i = 0; i < 50; ++i) log->tier(0)->cached(hashes[at++ % hashes.size()]);
      log->step_ended(Seconds(now));
    }
    now += 0.01;
    index.advance(Seconds(now));
  }
  const double taken = cpu_seconds() - began;
  fmt::print("event, from a cache to the index: {:5.0f} ns\n",
             1e9 * taken / static_cast<double>(at));
  const double idle = cpu_seconds();
  for (int i = 0; i < 100'000; ++i) index.advance(Seconds(now + 1 + i));
  fmt::print("advance() without news: {:5.0f} ns\n", 1e4 * (cpu_seconds() - idle));
}

}  // namespace
}  // namespace kvsim

int main() {
#ifndef NDEBUG
  fmt::print(stderr, "warning: built with assertions; use a Release build\n");
#endif
  for (const std::int64_t blocks : {160, 2'000})
    for (const std::int32_t holders : {1, 8, 64}) kvsim::bench_match(blocks, holders);
  kvsim::bench_changes("20,000 blocks", 20'000, 0);
  kvsim::bench_changes("4,000,000 blocks", 4'000'000, 0);
  kvsim::bench_changes("4,000,000 blocks, 10 replicas a hash", 4'000'000, 10);
  kvsim::bench_events();
  return 0;
}
