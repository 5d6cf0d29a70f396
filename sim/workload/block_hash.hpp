// Chain hashes of a request's blocks: equal exactly when all tokens up to the block's end are
// equal.
//
// h_i = mix(h_{i-1}, pieces of block i), a piece being (stream, offset, length) of the content runs
// that the block covers, cut at block borders; append_run keeps runs maximal, so equal content has
// equal pieces. Stands for vLLM's sha256 chain (spec/vllm.md section 4): 64 bits, collisions
// ignored.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/request.hpp"

namespace kvsim {

using BlockHash = std::uint64_t;  // never 0

// Appends the hashes of all full blocks within the first `tokens_known` tokens of the prompt
// followed by the answer (Request::answer_stream or Request::answer), starting at block
// hashes.size(). O(blocks appended + runs).
void extend_block_hashes(const Request& request, std::int64_t block_tokens,
                         std::int64_t tokens_known, std::vector<BlockHash>& hashes);

// The hash of the first `tokens` tokens, cut into `blocks` (their chain hashes) and a rest shorter
// than a block. Equal to blocks.back() when there is no rest.
[[nodiscard]] BlockHash prefix_hash(const Request& request, std::int64_t block_tokens,
                                    std::int64_t tokens, std::span<const BlockHash> blocks);

}  // namespace kvsim
