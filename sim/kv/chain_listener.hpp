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
  // Not owned.
  void add(BlockListener* listener) { listeners_.push_back(listener); }
  // Before a chunk comes into the tier.
  void name(const ChunkPart& chunk) {
    if (!listeners_.empty()) chains_[chunk.key] = chunk.chain;
  }
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
  void used(BlockHash key) override {
    const BlockHash* chain = chains_.find(key);
    if (chain == nullptr) return;
    for (BlockListener* listener : listeners_) listener->used(*chain);
  }
  void cleared() override {
    chains_ = {};
    for (BlockListener* listener : listeners_) listener->cleared();
  }

 private:
  std::vector<BlockListener*> listeners_;
  HashMap<BlockHash> chains_;
};

}  // namespace kvsim
