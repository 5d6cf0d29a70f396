#include "sim/engine/sequence_blocks.hpp"

#include <algorithm>
#include <span>

namespace kvsim {

void SequenceBlocks::allocate(Sequence& sequence, std::int64_t blocks, std::int64_t step) {
  if (blocks <= 0) return;
  const auto first = sequence.blocks.size();
  pool_.allocate(blocks, sequence.blocks);
  if (connector_ != nullptr) connector_->allocated(std::span(sequence.blocks).subspan(first), step);
}

void SequenceBlocks::publish(Sequence& sequence, std::int64_t full, std::int64_t step) {
  full = std::min({full, held(sequence), static_cast<std::int64_t>(sequence.hashes.size())});
  if (full <= sequence.hashed) return;
  if (caching_) {
    const auto from = static_cast<std::size_t>(sequence.hashed);
    const auto count = static_cast<std::size_t>(full - sequence.hashed);
    pool_.cache(std::span(sequence.blocks).subspan(from, count),
                std::span(sequence.hashes).subspan(from, count));
  }
  sequence.hashed = full;
  // A decode completes a block in a step that may be slept through, so it only counts for a
  // connector that wants generated tokens, whose stores end the run.
  if (connector_ == nullptr) return;
  if (sequence.state == Sequence::State::kPrefill || connector_->stores_generated())
    connector_->completed(sequence, full, step);
}

void SequenceBlocks::ending(Sequence& sequence) {
  pool_.hold(sequence.blocks);
  sequence.blocks_held = true;
}

void SequenceBlocks::release(Sequence& sequence) {
  bool kept_on = false;
  if (connector_ != nullptr) {
    kept_on = connector_->holds(sequence, [this, kept = sequence.blocks] {
      pool_.release_held(kept);
      freed_();
    });
  }
  if (kept_on && !sequence.blocks_held) pool_.hold(sequence.blocks);
  if (!kept_on && sequence.blocks_held) pool_.release_held(sequence.blocks);
  if (!kept_on && !sequence.blocks_held) pool_.release(sequence.blocks);
  sequence.blocks_held = false;
  sequence.blocks.clear();
  sequence.hashed = 0;
  sequence.stored_blocks = 0;
}

}  // namespace kvsim
