// Names of content streams (ContentRun::stream). The kind keeps apart what can never be equal; the
// small numbers within a kind keep written traces small.
#pragma once

#include <cstdint>

#include "sim/base/rng.hpp"

namespace kvsim {

enum class StreamKind : std::uint64_t {
  kShared = 1,  // content with a number of its own: a hash id, a group's system prompt
  kToken = 2,   // a literal token: its number in the vocabulary
  kPrompt = 3,  // what only this request's prompt brings: the request's id
  kAnswer = 4,  // the answer to a request: the request's id
};

// Numbers of 2^56 and more (hashes used as ids) are folded: distinct ones may then meet, with the
// odds of a 56-bit hash.
constexpr std::uint64_t content_stream(StreamKind kind, std::uint64_t number) {
  constexpr int kBits = 56;
  const std::uint64_t folded = (number >> kBits) == 0 ? number : mix64(number) >> (64 - kBits);
  return static_cast<std::uint64_t>(kind) << kBits | folded;
}

}  // namespace kvsim
