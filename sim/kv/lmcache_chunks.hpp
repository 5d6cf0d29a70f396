// How LMCache cuts a request into chunks, its prompt's rest into one of its own, and chunks into
// layers (spec/lmcache.md section 2).
#pragma once

#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/kv/chunk_keys.hpp"
#include "sim/workload/block_hash.hpp"

namespace kvsim {

struct LmcacheChunks {
  std::int64_t chunk_tokens = 256;
  std::int64_t block_tokens = 16;
  Bytes block_bytes{0};  // one rank's
  std::int64_t layers = 1;
  bool by_layer = false;  // values of one layer each
  bool unfull = false;    // the prompt's last tokens too, where they do not fill a chunk

  [[nodiscard]] Bytes bytes_of(std::int64_t tokens) const {
    return block_bytes * tokens / block_tokens;
  }
  [[nodiscard]] ChunkPart full(const KvSequence& sequence, std::int64_t chunk) const {
    const std::int64_t blocks = chunk_tokens / block_tokens;
    const BlockHash chain = sequence.hashes[static_cast<std::size_t>((chunk + 1) * blocks - 1)];
    return {chain, bytes_of(chunk_tokens), chain, chunk_tokens};
  }
  // The prompt's last tokens.
  [[nodiscard]] ChunkPart rest(const KvSequence& sequence) const {
    const auto blocks = static_cast<std::size_t>(sequence.prompt_tokens / block_tokens);
    const BlockHash chain = prefix_hash(sequence.request, block_tokens, sequence.prompt_tokens,
                                        std::span(sequence.hashes).first(blocks));
    const std::int64_t tokens = sequence.prompt_tokens % chunk_tokens;
    return {chain, bytes_of(tokens), chain, tokens};
  }
  // Of the first `tokens` tokens.
  [[nodiscard]] std::vector<ChunkPart> of(const KvSequence& sequence, std::int64_t tokens) const {
    std::vector<ChunkPart> out;
    for (std::int64_t chunk = 0; chunk < tokens / chunk_tokens; ++chunk)
      out.push_back(full(sequence, chunk));
    const bool has_rest = tokens == sequence.prompt_tokens && tokens % chunk_tokens > 0;
    if (has_rest && unfull) out.push_back(rest(sequence));
    return out;
  }
  // What a tier stores for chunks: themselves, or their values of layers [from, to).
  [[nodiscard]] std::vector<ChunkPart> values(const std::vector<ChunkPart>& chunks,
                                              std::int64_t from, std::int64_t to) const {
    if (!by_layer) return chunks;
    std::vector<ChunkPart> out;
    for (std::int64_t layer = from; layer < to; ++layer)
      for (const ChunkPart& chunk : chunks)
        out.push_back({mix64(chunk.key + static_cast<std::uint64_t>(layer)) | 1,
                       chunk.bytes / layers, chunk.chain, chunk.tokens});
    return out;
  }
};

}  // namespace kvsim
