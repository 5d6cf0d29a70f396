// Nanoseconds per block of the life of a request's blocks in a BlockPool: match, allocate (with
// the eviction of what the blocks held), cache, release. Not a test: run it by hand.
//
//   bench_block_pool [blocks-per-pool] [blocks-per-request]
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <deque>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/kv/block_pool.hpp"

namespace kvsim {
namespace {

struct Load {
  std::int32_t pools = 1;
  std::int32_t blocks = 28'800;
  std::int32_t request_blocks = 60;
  std::int32_t running = 64;  // requests that hold blocks at once, per pool
};

// Requests of unique content, pools in turn; a random one of the running requests ends.
double ns_per_block(const Load& load, std::int64_t requests) {
  std::vector<BlockPool> pools;
  for (std::int32_t i = 0; i < load.pools; ++i) pools.emplace_back(BlockPool::Options{load.blocks});
  const auto slots = static_cast<std::size_t>(load.running);
  std::vector<std::vector<std::vector<BlockId>>> held(pools.size());
  for (auto& pool : held) pool.resize(slots);
  std::vector<BlockHash> hashes(static_cast<std::size_t>(load.request_blocks));
  Rng rng(1);
  std::uint64_t content = 0;
  const auto serve = [&](std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t p = static_cast<std::size_t>(i) % pools.size();
      for (BlockHash& hash : hashes) hash = mix64(++content);
      std::vector<BlockId>& mine = held[p][rng.below(slots)];
      pools[p].release(mine);
      mine.clear();
      if (pools[p].match(hashes) != 0) std::abort();
      pools[p].allocate(load.request_blocks, mine);
      pools[p].cache(std::span<const BlockId>(mine).first(hashes.size() - 1),
                     std::span<const BlockHash>(hashes).first(hashes.size() - 1));
    }
  };
  serve(2 * load.pools * (load.blocks / load.request_blocks));
  const std::clock_t start = std::clock();  // CPU time: other processes count less
  serve(requests);
  const double taken = static_cast<double>(std::clock() - start) * (1e9 / CLOCKS_PER_SEC);
  return taken / (static_cast<double>(requests) * load.request_blocks);
}

}  // namespace
}  // namespace kvsim

int main(int argc, char** argv) {
  kvsim::Load load;
  if (argc > 1) load.blocks = std::atoi(argv[1]);
  if (argc > 2) load.request_blocks = std::atoi(argv[2]);
#ifndef NDEBUG
  fmt::print(stderr, "warning: built with assertions; use a Release build\n");
#endif
  for (const int pools : {1, 8, 64, 256}) {
    load.pools = pools;
    fmt::print("{:4} pools of {} blocks, {} blocks a request: {:6.1f} ns per block\n", pools,
               load.blocks, load.request_blocks, kvsim::ns_per_block(load, 200'000));
  }
  return 0;
}
