#include "sim/frontend/epp/approximate_prefix.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {
namespace {

// What llm-d takes a token for (spec/llm_d.md section 5).
constexpr double kCharactersPerToken = 4;

std::int64_t engine_block(const Router::Context& context) {
  return context.replicas.front().block_tokens;
}

// Tokens of a block in the picker's count.
std::int64_t counted_block(const ApproximatePrefixOptions& options,
                           const Router::Context& context) {
  return options.auto_tune ? engine_block(context) : options.block_tokens;
}

std::int64_t most_blocks(const ApproximatePrefixOptions& options, const Router::Context& context) {
  if (options.max_prefix_tokens <= 0) return options.max_prefix_blocks;
  return std::max<std::int64_t>(1, options.max_prefix_tokens / counted_block(options, context));
}

// Tokens that the characters of a block make.
std::int64_t real_block(const ApproximatePrefixOptions& options, const Router::Context& context) {
  const double characters =
      static_cast<double>(counted_block(options, context)) * kCharactersPerToken;
  return std::max<std::int64_t>(1, std::llround(characters / options.characters_per_token));
}

}  // namespace

ApproximatePrefix::ApproximatePrefix(const ApproximatePrefixOptions& options,
                                     const Router::Context& context, bool on_engine_blocks)
    : block_tokens_(on_engine_blocks ? engine_block(context) : real_block(options, context)),
      index_(index_options(options, context)) {
  std::int64_t blocks = most_blocks(options, context);
  if (on_engine_blocks)
    blocks = groups_of(blocks * real_block(options, context), engine_block(context));
  need_.block_tokens =
      block_tokens_ == engine_block(context) ? HashNeed::kEngineBlocks : block_tokens_;
  need_.most_blocks = blocks;
  need_.partial_tail = options.partial_block;
}

PrefixIndex::Options ApproximatePrefix::index_options(const ApproximatePrefixOptions& options,
                                                      const Router::Context& context) {
  std::int64_t capacity = 0;
  for (const ReplicaFacts& replica : context.replicas)
    capacity = std::max(capacity, replica.kv_blocks);
  if (!options.auto_tune || capacity == 0) capacity = options.lru_blocks;
  return {.replicas = static_cast<std::int32_t>(context.replicas.size()),
          .capacity = static_cast<std::int32_t>(capacity)};
}

void ApproximatePrefix::match(std::span<const BlockHash> prompt) {
  considered_ = prompt.first(std::min(prompt.size(), static_cast<std::size_t>(need_.most_blocks)));
  index_.match(considered_, matched_);
  shares_.resize(matched_.size());
  const double blocks = std::max(1.0, static_cast<double>(considered_.size()));
  for (std::size_t i = 0; i < matched_.size(); ++i)
    shares_[i] = static_cast<double>(matched_[i]) / blocks;
}

std::int64_t ApproximatePrefix::hit_tokens(std::int32_t replica, std::int64_t input_tokens) const {
  return std::min(input_tokens, matched_[static_cast<std::size_t>(replica)] * block_tokens_);
}

}  // namespace kvsim
