// Prefix-cache hit rate against cache capacity under LRU, for all capacities in one pass over a
// workload (Mattson's stack distances), so that a tier can be sized before anything is simulated.
//
// The cache holds whole blocks. A request looks up its prompt's blocks from the first on and hits
// until the first miss; then its blocks are the most recently used, the first of them most of all
// (vLLM frees a request's blocks from the last to the first, so a block never outlives the ones
// before it). Requests follow one another: no time, no batching, every answer complete before the
// next prompt. Left out: pinned blocks, chunks above the block size that are only stored whole
// (use the chunk as block size), delays of stores.
//
// Sampling follows SHARDS (Waldspurger et al., FAST'15) with a fixed rate and its count correction:
// blocks are taken by their hash, distances divided by the rate.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/workload/last_user_table.hpp"

namespace kvsim {

class HitRateCurve {
 public:
  struct Options {
    std::int64_t block_tokens = 16;
    double sample_rate = 1;  // in (0, 1]; 1 = exact
    // At least the prompt's last token is computed, so at most (input - 1) / block blocks hit.
    bool last_token_rule = true;
    bool answers = true;  // generated tokens are cached as well, save the last, which is never run
  };
  explicit HitRateCurve(const Options& options);

  // O(blocks), with a table lookup for each sampled one and a logarithm for each earlier request
  // that it has blocks from.
  void add(const Request& request);

  [[nodiscard]] std::int64_t prompt_tokens() const { return prompt_tokens_; }
  // Tokens that hit in a cache of so many blocks; -1 = of unlimited size. Exact when not sampled.
  [[nodiscard]] double hit_tokens(std::int64_t capacity_blocks) const;
  // Of all prompt tokens; 0 when there are none.
  [[nodiscard]] double hit_rate(std::int64_t capacity_blocks) const;
  // Distinct blocks seen (estimated when sampled): a cache of this size misses nothing it could
  // hit.
  [[nodiscard]] double distinct_blocks() const;

 private:
  void start_request();
  void count_blocks(std::size_t request, std::int64_t change);
  [[nodiscard]] std::int64_t newer_than(std::size_t request) const;
  void hit_at(std::int64_t distance);
  [[nodiscard]] bool sampled(BlockHash hash) const;

  Options options_;
  std::vector<BlockHash> hashes_;
  LastUserTable last_user_;
  // How many blocks have each request as their last user: a Fenwick tree over the requests.
  std::vector<std::int64_t> blocks_of_;
  std::vector<std::int64_t> tree_;
  std::int64_t blocks_ = 0;            // their sum
  std::vector<std::int64_t> hits_at_;  // lookups by distance in (sampled) blocks
  std::int64_t prompt_tokens_ = 0;
  std::int64_t lookups_ = 0;
  std::int64_t sampled_lookups_ = 0;
};

}  // namespace kvsim
