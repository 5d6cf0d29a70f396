// Hears what becomes hittable in one cache and what stops to be, as KV events of real engines tell
// their routers.
#pragma once

#include "sim/workload/block_hash.hpp"

namespace kvsim {

class BlockListener {
 public:
  virtual ~BlockListener() = default;
  // Once per physical block: content held twice is cached twice, and evicted twice.
  virtual void cached(BlockHash hash) = 0;
  virtual void evicted(BlockHash hash) = 0;
  // A request has found it here and takes it.
  virtual void used(BlockHash /*hash*/) {}
  // All is gone at once, with the process that held it; evicted() is not called for it.
  virtual void cleared() {}
};

}  // namespace kvsim
