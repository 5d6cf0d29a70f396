// llm-d's approximate prefix cache (spec/llm_d.md section 5): which leading blocks of a prompt this
// picker has sent to which replica before. It hears nothing from engines: not of evictions, nor of
// requests that others sent.
//
// The real one hashes the prompt's characters in blocks of block_tokens * 4. Here a block is the
// tokens that so many characters make: with characters_per_token 4, block_tokens tokens. What is
// left over is hashed as a block of its own, and only the first max_prefix_blocks count.
//
// Left out: one capacity holds for all replicas, the largest of theirs; no two-minute check for
// pods that are gone (lost() tells).
#pragma once

#include <span>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/prefix_index.hpp"

namespace kvsim {

struct ApproximatePrefixOptions {
  bool auto_tune = true;
  std::int64_t block_tokens = 16;
  std::int64_t max_prefix_blocks = 256;
  std::int64_t max_prefix_tokens = 0;
  std::int64_t lru_blocks = 31'250;
  double characters_per_token = 4;
  bool partial_block = true;

  template <class F>
  void fields(F& f) {
    f.optional("auto_tune", auto_tune,
               "Block size and number of blocks are the engine's, instead of block_tokens and "
               "lru_blocks_per_replica.");
    f.optional("block_tokens", block_tokens, Range{1, 1e6},
               "A block is 4 times as many characters.");
    f.optional("max_prefix_blocks", max_prefix_blocks, Range{1, 1e6},
               "Leading blocks of a prompt that are looked at.");
    f.optional("max_prefix_tokens", max_prefix_tokens, Range{0, 1e9},
               "The same in tokens, goes before max_prefix_blocks; 0 = not given.");
    f.optional("lru_blocks_per_replica", lru_blocks, Range{1, 1e8},
               "Index entries kept per replica.");
    f.optional("characters_per_token", characters_per_token, Range{0.1, 100},
               "Of the prompts. Default: llm-d's own estimate, right for English.");
    f.optional("partial_block", partial_block, "Whether what is left over is a block too.");
  }
};

class ApproximatePrefix {
 public:
  // `on_engine_blocks`: another index needs the engines' blocks, so this one counts them too,
  // whatever the options say; max_prefix_blocks still bounds the same number of tokens.
  ApproximatePrefix(const ApproximatePrefixOptions& options, const Router::Context& context,
                    bool on_engine_blocks);

  [[nodiscard]] HashNeed hashes() const { return need_; }
  // Looks up the leading blocks; the results hold until the next call.
  void match(std::span<const BlockHash> prompt);
  // By replica: matched blocks / the blocks looked at.
  [[nodiscard]] std::span<const double> shares() const { return shares_; }
  [[nodiscard]] std::int64_t hit_tokens(std::int32_t replica, std::int64_t input_tokens) const;
  // The request matched last goes to `replica`.
  void insert(std::int32_t replica) { index_.insert(replica, considered_); }
  void lost(std::int32_t replica) { index_.remove_replica(replica); }

 private:
  static PrefixIndex::Options index_options(const ApproximatePrefixOptions& options,
                                            const Router::Context& context);
  HashNeed need_;
  std::int64_t block_tokens_;
  PrefixIndex index_;
  std::span<const BlockHash> considered_;
  std::vector<std::int32_t> matched_;
  std::vector<double> shares_;
};

}  // namespace kvsim
