// Microseconds per request of a router's PrefixIndex: match, then insert at the replica with the
// longest match. Not a test: run it by hand.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/kv/prefix_index.hpp"

namespace kvsim {
namespace {

constexpr int kPrefixes = 200;
constexpr int kPrefixBlocks = 128;
constexpr int kUniqueBlocks = 48;

// `stray`: share of requests that go to a random replica whatever they match, as load pushes them.
double us_per_request(std::int32_t replicas, double stray, int requests) {
  PrefixIndex index({.replicas = replicas});
  Rng rng(1);
  std::vector<BlockHash> hashes;
  std::vector<std::int32_t> blocks;
  std::uint64_t content = 1ULL << 32;
  const auto route = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::uint64_t prefix = rng.below(kPrefixes);
      hashes.clear();
      for (std::uint64_t b = 0; b < kPrefixBlocks; ++b)
        hashes.push_back(mix64(1000 * prefix + b + 1));
      for (int b = 0; b < kUniqueBlocks; ++b) hashes.push_back(mix64(++content));
      index.match(hashes, blocks);
      auto chosen = std::max_element(blocks.begin(), blocks.end()) - blocks.begin();
      if (blocks[static_cast<std::size_t>(chosen)] == 0 || rng.uniform() < stray) {
        chosen = static_cast<std::ptrdiff_t>(rng.below(static_cast<std::uint64_t>(replicas)));
      }
      index.insert(static_cast<std::int32_t>(chosen), hashes);
    }
  };
  route(1500 * std::min(replicas, 64));
  const std::clock_t start = std::clock();  // CPU time: other processes count less
  route(requests);
  const double taken = static_cast<double>(std::clock() - start) * (1e6 / CLOCKS_PER_SEC);
  return taken / requests;
}

}  // namespace
}  // namespace kvsim

int main() {
#ifndef NDEBUG
  fmt::print(stderr, "warning: built with assertions; use a Release build\n");
#endif
  for (const int replicas : {1, 8, 64, 1024}) {
    for (const double stray : {0.0, 0.1, 1.0}) {
      fmt::print("{:4} replicas, {:3.0f} % routed anywhere: {:6.2f} us per request\n", replicas,
                 100 * stray, kvsim::us_per_request(replicas, stray, 50'000));
    }
  }
  return 0;
}
