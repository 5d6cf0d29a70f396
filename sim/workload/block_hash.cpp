#include "sim/workload/block_hash.hpp"

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

constexpr std::uint64_t kRoot = 0x6b7673696d2d3030ULL;

std::uint64_t combine(std::uint64_t hash, const ContentRun& piece) {
  const auto offset = static_cast<std::uint64_t>(piece.offset);
  const auto length = static_cast<std::uint64_t>(piece.length);
  return mix64(hash * 0x9e3779b97f4a7c15ULL + mix64(piece.stream + 0x632be59bd9b4e019ULL) +
               offset * 0xd6e8feb86659fd93ULL + length);
}

// Walks prompt and answer as one list of runs, the pieces maximal.
class RunCursor {
 public:
  RunCursor(const Request& request, std::int64_t skip) : request_(request) {
    load();
    while (skip >= run_.length && !done_) {
      skip -= run_.length;
      ++index_;
      load();
    }
    run_.offset += skip;
    run_.length -= skip;
  }

  // The next piece, of at most `most` tokens; merged over run borders that continue a stream.
  ContentRun take(std::int64_t most) {
    ContentRun piece{run_.stream, run_.offset, std::min(most, run_.length)};
    consume(piece.length);
    while (piece.length < most && !done_ && run_.stream == piece.stream &&
           run_.offset == piece.offset + piece.length) {
      const std::int64_t more = std::min(most - piece.length, run_.length);
      piece.length += more;
      consume(more);
    }
    return piece;
  }

 private:
  void load() {
    const std::size_t prompt = request_.prompt.size();
    if (index_ < prompt) {
      run_ = request_.prompt[index_];
    } else if (index_ - prompt < request_.answer.size()) {
      run_ = request_.answer[index_ - prompt];
    } else {
      done_ = !request_.answer.empty() || index_ > prompt;
      run_ = {request_.answer_stream, 0, request_.output.count()};
    }
  }
  void consume(std::int64_t tokens) {
    run_.offset += tokens;
    run_.length -= tokens;
    if (run_.length > 0) return;
    ++index_;
    load();
  }

  const Request& request_;
  std::size_t index_ = 0;
  ContentRun run_;
  bool done_ = false;
};

// The hash of `tokens` more tokens after `hash`.
BlockHash advance(RunCursor& cursor, std::int64_t tokens, BlockHash hash) {
  for (std::int64_t left = tokens; left > 0;) {
    const ContentRun piece = cursor.take(left);
    hash = combine(hash, piece);
    left -= piece.length;
  }
  return hash != 0 ? hash : 1;
}

}  // namespace

void extend_block_hashes(const Request& request, std::int64_t block_tokens,
                         std::int64_t tokens_known, std::vector<BlockHash>& hashes) {
  const auto blocks = static_cast<std::size_t>(tokens_known / block_tokens);
  if (hashes.size() >= blocks) return;
  KV_CHECK(tokens_known <= request.input.count() + request.output.count(), "{} tokens of {} + {}",
           tokens_known, request.input.count(), request.output.count());
  RunCursor cursor(request, static_cast<std::int64_t>(hashes.size()) * block_tokens);
  BlockHash hash = hashes.empty() ? kRoot : hashes.back();
  hashes.reserve(blocks);
  while (hashes.size() < blocks) {
    hash = advance(cursor, block_tokens, hash);
    hashes.push_back(hash);
  }
}

BlockHash prefix_hash(const Request& request, std::int64_t block_tokens, std::int64_t tokens,
                      std::span<const BlockHash> blocks) {
  const std::int64_t hashed = static_cast<std::int64_t>(blocks.size()) * block_tokens;
  KV_CHECK(hashed <= tokens, "{} tokens hashed, {} asked for", hashed, tokens);
  RunCursor cursor(request, hashed);
  return advance(cursor, tokens - hashed, blocks.empty() ? kRoot : blocks.back());
}

}  // namespace kvsim
