// Least recently used: the entry that has not been written, read or looked for the longest. As in
// vLLM's CPU offload, the end of a write or read counts as a use.
#include "sim/base/registry.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/key_list.hpp"

namespace kvsim {
namespace {

class LeastRecentlyUsed : public Eviction {
 public:
  using Options = NoOptions;
  LeastRecentlyUsed(const Options&, const Context&) {}

  void inserted(BlockHash) override {}
  void touched(BlockHash key) override { idle_.move_to_back(key); }
  void pinned(BlockHash key) override { idle_.erase(key); }
  void unpinned(BlockHash key) override { idle_.push_back(key); }
  void removed(BlockHash) override {}
  std::optional<BlockHash> evict() override {
    if (idle_.empty()) return std::nullopt;
    return idle_.pop_front();
  }

 private:
  KeyList idle_;  // unpinned entries, least recently used first
};

const Register<Eviction, LeastRecentlyUsed> kRegistered("lru", "Least recently used goes first.");

}  // namespace
}  // namespace kvsim
