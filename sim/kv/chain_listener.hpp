// Between a tier that names chunks by keys of its own and who hears of them by the chain hash of
// their last block. Knows the chunks of that tier only: 32 bytes each, while somebody listens.
#pragma once

#include <vector>

#include "sim/kv/block_listener.hpp"
#include "sim/kv/chunk_keys.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

class ChainListener final : public BlockListener {
 public:
  // nullptr = nobody. Not owned.
  void add(BlockListener* listener) {
    if (listener != nullptr) listeners_.push_back(listener);
  }
  // Before a chunk comes into the tier.
  void name(const ChunkPart& chunk) {
    if (!listeners_.empty()) chains_[chunk.key] = chunk.chain;
  }
  // The tier was cleared.
  void clear() { chains_ = {}; }

  void cached(BlockHash key) override {
    const BlockHash* chain = chains_.find(key);
    if (chain == nullptr) return;
    for (BlockListener* listener : listeners_) listener->cached(*chain);
  }
  void evicted(BlockHash key) override {
    const BlockHash* chain = chains_.find(key);
    if (chain == nullptr) return;
    for (BlockListener* listener : listeners_) listener->evicted(*chain);
    chains_.erase(key);
  }

 private:
  std::vector<BlockListener*> listeners_;
  HashMap<BlockHash> chains_;
};

}  // namespace kvsim
