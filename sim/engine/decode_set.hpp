// The sequences that decode, kept so that a step costs what changes in it: a sequence is touched
// when it needs a new block and when it ends, not once a token. All lengths follow from the step
// number: a sequence that computes token s + shift in step s needs a block when that is a multiple
// of the block size, and ends at a known step.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "sim/engine/sequence.hpp"
#include "sim/perf/step_time.hpp"

namespace kvsim {

class DecodeSet {
 public:
  DecodeSet(std::int64_t block_tokens, std::int64_t window);

  // Step that will be planned next.
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t context() const { return context_; }

  // Enters with `sequence.computed` tokens in the KV cache, decoding from the next step on. O(log
  // n).
  void add(Sequence& sequence);
  // Leaves; computed and produced are written back as of the next step. O(1).
  void remove(Sequence& sequence);

  // Tokens in the KV cache before the next step.
  [[nodiscard]] std::int64_t computed(const Sequence& sequence) const {
    return step_ + sequence.shift;
  }
  [[nodiscard]] bool needs_block(const Sequence& sequence) const {
    return computed(sequence) % block_tokens_ == 0;
  }
  // Those which need a block in the next step, in admission order. Valid until the set changes.
  [[nodiscard]] const std::vector<Sequence*>& crossing();
  [[nodiscard]] std::int64_t crossing_count() const { return crossing_count(step_); }
  [[nodiscard]] std::int64_t crossing_count(std::int64_t step) const {
    return static_cast<std::int64_t>(bucket(step).size());
  }

  // Adds the decodes of the next step to its shape; `repeated_blocks`: how many blocks of the
  // running sequences are shared with an earlier one (BlockPool::repeated).
  void describe(StepShape& shape, std::int64_t repeated_blocks) const;
  // The next step is planned: everybody in the set has one token more. Sequences whose last token
  // is in that step leave the set, in admission order, as kCompleting.
  void advance(std::vector<Sequence*>& finishing);
  // First step in which somebody produces its last token; a large number when the set is empty.
  [[nodiscard]] std::int64_t next_finish();
  // Somebody is, or in the step planned last was, shorter than the sliding window: shapes do not
  // grow evenly.
  [[nodiscard]] bool uneven() const { return !below_.empty() || grew_unevenly_; }

 private:
  struct Finish {
    std::int64_t step;
    std::int64_t order;
    std::uint32_t epoch;
    Sequence* sequence;
    bool operator>(const Finish& other) const {
      return step != other.step ? step > other.step : order > other.order;
    }
  };
  [[nodiscard]] const std::vector<Sequence*>& bucket(std::int64_t step) const {
    return buckets_[static_cast<std::size_t>(step % block_tokens_)];
  }
  [[nodiscard]] std::vector<Sequence*>& bucket_of(const Sequence& sequence);
  void enter_bucket(Sequence& sequence);
  void leave_bucket(Sequence& sequence);
  void leave_below(Sequence& sequence);
  void schedule_finish(Sequence& sequence);

  std::int64_t block_tokens_;
  std::int64_t window_;
  std::int64_t step_ = 0;
  std::int64_t size_ = 0;
  std::int64_t context_ = 0;         // KV tokens read in the next step, the new ones included
  std::int64_t window_context_ = 0;  // the same, each capped at the window
  std::vector<std::vector<Sequence*>> buckets_;  // by step modulo block size
  std::vector<Sequence*> below_;
  bool grew_unevenly_ = false;
  std::priority_queue<Finish, std::vector<Finish>, std::greater<>> finishes_;
};

}  // namespace kvsim
