// First in, first out: the oldest entry, however often it was used.
#include <map>

#include "sim/base/registry.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {
namespace {

class FirstInFirstOut : public Eviction {
 public:
  using Options = NoOptions;
  FirstInFirstOut(const Options&, const Context&) {}

  void inserted(BlockHash key) override { age_[key] = ++clock_; }
  void touched(BlockHash) override {}
  void pinned(BlockHash key) override { idle_.erase(*age_.find(key)); }
  void unpinned(BlockHash key) override { idle_.emplace(*age_.find(key), key); }
  void removed(BlockHash key) override { age_.erase(key); }
  std::optional<BlockHash> evict() override {
    if (idle_.empty()) return std::nullopt;
    const BlockHash key = idle_.begin()->second;
    idle_.erase(idle_.begin());
    age_.erase(key);
    return key;
  }

 private:
  std::uint64_t clock_ = 0;
  HashMap<std::uint64_t> age_;               // when each entry came
  std::map<std::uint64_t, BlockHash> idle_;  // unpinned entries by age, so that one that comes back
                                             // from being read stands where it stood
};

const Register<Eviction, FirstInFirstOut> kRegistered("fifo", "The oldest entry goes first.");

}  // namespace
}  // namespace kvsim
