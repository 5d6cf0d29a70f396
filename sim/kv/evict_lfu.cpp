// Least frequently used: the entry looked for the fewest times since it came; among equals the one
// whose last use lies furthest back. Counts do not age: an entry that was popular once stays long.
#include <set>
#include <tuple>

#include "sim/base/registry.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {
namespace {

class LeastFrequentlyUsed : public Eviction {
 public:
  using Options = NoOptions;
  LeastFrequentlyUsed(const Options&, const Context&) {}

  void inserted(BlockHash key) override { entries_[key] = {.last_use = ++clock_}; }
  void touched(BlockHash key) override {
    Entry* entry = entries_.find(key);
    if (entry == nullptr) return;
    if (entry->idle) idle_.erase(place(*entry, key));
    ++entry->uses;
    entry->last_use = ++clock_;
    if (entry->idle) idle_.insert(place(*entry, key));
  }
  void pinned(BlockHash key) override {
    Entry& entry = *entries_.find(key);
    idle_.erase(place(entry, key));
    entry.idle = false;
  }
  void unpinned(BlockHash key) override {
    Entry& entry = *entries_.find(key);
    idle_.insert(place(entry, key));
    entry.idle = true;
  }
  void removed(BlockHash key) override { entries_.erase(key); }
  std::optional<BlockHash> evict() override {
    if (idle_.empty()) return std::nullopt;
    const BlockHash key = std::get<2>(*idle_.begin());
    idle_.erase(idle_.begin());
    entries_.erase(key);
    return key;
  }

 private:
  struct Entry {
    std::uint64_t uses = 0;
    std::uint64_t last_use = 0;
    bool idle = false;
  };
  using Place = std::tuple<std::uint64_t, std::uint64_t, BlockHash>;
  static Place place(const Entry& entry, BlockHash key) {
    return {entry.uses, entry.last_use, key};
  }

  std::uint64_t clock_ = 0;
  HashMap<Entry> entries_;
  std::set<Place> idle_;  // unpinned entries, next victim first
};

const Register<Eviction, LeastFrequentlyUsed> kRegistered("lfu",
                                                          "Least frequently used goes first.");

}  // namespace
}  // namespace kvsim
