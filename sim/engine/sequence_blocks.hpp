// The blocks of sequences: taken from the pool, made hittable, given back; and the connector hears
// of it. For any scheduler that keeps KV in blocks.
#pragma once

#include <functional>

#include "sim/engine/sequence.hpp"
#include "sim/kv/block_pool.hpp"

namespace kvsim {

class SequenceBlocks {
 public:
  // `connector` may be null. `freed` is called when blocks that a connector held have come back.
  SequenceBlocks(BlockPool& pool, Connector* connector, bool caching, std::function<void()> freed)
      : pool_(pool), connector_(connector), caching_(caching), freed_(std::move(freed)) {}

  [[nodiscard]] static std::int64_t held(const Sequence& sequence) {
    return static_cast<std::int64_t>(sequence.blocks.size());
  }
  // `blocks` more, for step number `step`; none for blocks <= 0 (a load that fell short leaves a
  // sequence more than it computes now).
  void allocate(Sequence& sequence, std::int64_t blocks, std::int64_t step);
  // Makes the first `full` blocks hittable and tells the connector.
  void publish(Sequence& sequence, std::int64_t full, std::int64_t step);
  // Its last token is planned: until release() its blocks stay, but are read by no further step.
  // Told with the plan, so that what steps share does not depend on when results come.
  void ending(Sequence& sequence);
  void release(Sequence& sequence);

 private:
  BlockPool& pool_;
  Connector* connector_;
  bool caching_;
  std::function<void()> freed_;
};

}  // namespace kvsim
