#include "sim/engine/decode_set.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/check.hpp"

namespace kvsim {

DecodeSet::DecodeSet(std::int64_t block_tokens, std::int64_t window)
    : block_tokens_(block_tokens),
      window_(window),
      buckets_(static_cast<std::size_t>(block_tokens)) {}

std::vector<Sequence*>& DecodeSet::bucket_of(const Sequence& sequence) {
  // It needs a block in steps s with s + shift = 0 modulo the block size.
  const std::int64_t phase = ((-sequence.shift) % block_tokens_ + block_tokens_) % block_tokens_;
  return buckets_[static_cast<std::size_t>(phase)];
}

void DecodeSet::enter_bucket(Sequence& sequence) {
  std::vector<Sequence*>& bucket = bucket_of(sequence);
  sequence.bucket_slot = static_cast<std::int32_t>(bucket.size());
  bucket.push_back(&sequence);
}

void DecodeSet::leave_bucket(Sequence& sequence) {
  std::vector<Sequence*>& bucket = bucket_of(sequence);
  Sequence* last = bucket.back();
  bucket[static_cast<std::size_t>(sequence.bucket_slot)] = last;
  last->bucket_slot = sequence.bucket_slot;
  bucket.pop_back();
  sequence.bucket_slot = -1;
}

void DecodeSet::leave_below(Sequence& sequence) {
  if (sequence.below_slot < 0) return;
  Sequence* last = below_.back();
  below_[static_cast<std::size_t>(sequence.below_slot)] = last;
  last->below_slot = sequence.below_slot;
  below_.pop_back();
  sequence.below_slot = -1;
}

void DecodeSet::schedule_finish(Sequence& sequence) {
  // The answer token that step s produces is number s + shift + 2 - prompt.
  const std::int64_t last =
      sequence.prompt_tokens + sequence.request.output.count() - 2 - sequence.shift;
  finishes_.push({last, sequence.order, ++sequence.epoch, &sequence});
}

void DecodeSet::add(Sequence& sequence) {
  sequence.state = Sequence::State::kDecode;
  sequence.shift = sequence.computed - step_;
  enter_bucket(sequence);
  schedule_finish(sequence);
  const std::int64_t read = sequence.computed + 1;
  ++size_;
  context_ += read;
  if (window_ == 0) return;
  window_context_ += std::min(read, window_);
  if (read < window_) {
    sequence.below_slot = static_cast<std::int32_t>(below_.size());
    below_.push_back(&sequence);
  }
}

void DecodeSet::remove(Sequence& sequence) {
  sequence.computed = computed(sequence);
  sequence.produced = sequence.computed + 1 - sequence.prompt_tokens;
  leave_bucket(sequence);
  leave_below(sequence);
  ++sequence.epoch;
  const std::int64_t read = sequence.computed + 1;
  --size_;
  context_ -= read;
  if (window_ > 0) window_context_ -= std::min(read, window_);
}

const std::vector<Sequence*>& DecodeSet::crossing() {
  std::vector<Sequence*>& due = buckets_[static_cast<std::size_t>(step_ % block_tokens_)];
  const auto by_order = [](const Sequence* a, const Sequence* b) { return a->order < b->order; };
  if (!std::is_sorted(due.begin(), due.end(), by_order)) {
    std::sort(due.begin(), due.end(), by_order);
    for (std::size_t i = 0; i < due.size(); ++i) due[i]->bucket_slot = static_cast<std::int32_t>(i);
  }
  return due;
}

void DecodeSet::describe(StepShape& shape, std::int64_t repeated_blocks) const {
  shape.repeated_context = repeated_blocks * block_tokens_;
  shape.decode_sequences = static_cast<std::int32_t>(size_);
  shape.decode_context = context_;
  shape.decode_window_context = window_context_;
  shape.sampled += static_cast<std::int32_t>(size_);
}

void DecodeSet::advance(std::vector<Sequence*>& finishing) {
  const std::int64_t planned = step_++;
  context_ += size_;
  grew_unevenly_ = !below_.empty();
  for (std::size_t i = 0; i < below_.size();) {
    Sequence& sequence = *below_[i];
    ++window_context_;
    if (computed(sequence) + 1 >= window_) {
      leave_below(sequence);
    } else {
      ++i;
    }
  }
  while (next_finish() == planned) {
    Sequence& sequence = *finishes_.top().sequence;
    finishes_.pop();
    remove(sequence);
    sequence.state = Sequence::State::kCompleting;
    finishing.push_back(&sequence);
  }
}

std::int64_t DecodeSet::next_finish() {
  while (!finishes_.empty() && finishes_.top().epoch != finishes_.top().sequence->epoch)
    finishes_.pop();
  return finishes_.empty() ? std::numeric_limits<std::int64_t>::max() / 2 : finishes_.top().step;
}

}  // namespace kvsim
