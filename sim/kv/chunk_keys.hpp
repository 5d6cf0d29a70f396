// Cuts a request into chunks, runs of blocks that are kept under one key outside HBM. A chunk is
// named by the hash of its last block, which covers all tokens before it.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/base/rng.hpp"
#include "sim/kv/connector.hpp"

namespace kvsim {

// A chunk of KV, one rank's part of it.
struct ChunkPart {
  BlockHash key = 0;
  Bytes bytes{0};
  BlockHash chain = 0;  // hash of its last block: its name where one LLM is meant; 0 = not kept
  std::int64_t tokens = 0;
};

class ChunkKeys {
 public:
  // ConfigError unless a chunk is whole blocks. Other LLMs and other tensor-parallel sizes never
  // hit.
  ChunkKeys(const Connector::Context& context, std::int64_t chunk_tokens)
      : tokens_(chunk_tokens),
        blocks_(chunk_tokens / context.block_tokens),
        bytes_(context.block_bytes * blocks_),
        salt_(mix64(hash_name(context.model) + static_cast<std::uint64_t>(context.ranks))) {
    if (chunk_tokens % context.block_tokens == 0) return;
    throw ConfigError("chunk_tokens: found " + std::to_string(chunk_tokens) +
                      "; allowed: a multiple of the engine's " +
                      std::to_string(context.block_tokens));
  }

  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  // One rank's part of a chunk.
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  // Chunks [first, last) of a sequence.
  [[nodiscard]] std::vector<ChunkPart> between(const KvSequence& sequence, std::int64_t first,
                                               std::int64_t last) const {
    std::vector<ChunkPart> out;
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      const auto block = static_cast<std::size_t>((chunk + 1) * blocks_ - 1);
      const BlockHash chain = sequence.hashes[block];
      out.push_back({mix64(chain + salt_) | 1, bytes_, chain, tokens_});
    }
    return out;
  }

 private:
  std::int64_t tokens_;
  std::int64_t blocks_;
  Bytes bytes_;
  std::uint64_t salt_;
};

}  // namespace kvsim
