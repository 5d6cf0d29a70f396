// Adaptive replacement (Megiddo and Modha, FAST 2003) in the form of vLLM's CPU offload.
//
// Entries seen once and entries seen again stand in two lists; keys that either list lost lately
// are remembered without content. Looking for such a ghost moves the wanted size of the first list
// up (it was too small) or down. An entry looked for while it is being written counts as seen once.
// Two differences from vLLM's: an entry that was read returns to the recent end of its list instead
// of to its old place (the lookup before the read had put it there anyway); and when the list of
// entries seen again has no victim, the other one gives one even while it is below its wanted size.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/kv/eviction.hpp"
#include "sim/kv/key_list.hpp"

namespace kvsim {
namespace {

class AdaptiveReplacement : public Eviction {
 public:
  using Options = NoOptions;
  AdaptiveReplacement(const Options&, const Context& context) : capacity_(context.capacity) {}

  void inserted(BlockHash key) override {
    entries_[key] = Entry{};
    ++once_.size;
    once_.ghosts.erase(key);
    again_.ghosts.erase(key);
  }

  void touched(BlockHash key) override {
    if (Entry* entry = entries_.find(key); entry != nullptr) {
      if (entry->written && !entry->again) promote(*entry, key);
      list(*entry).idle.move_to_back(key);
    } else if (once_.ghosts.move_to_back(key)) {
      wanted_once_ = std::min(wanted_once_ + step(again_, once_), static_cast<double>(capacity_));
    } else if (again_.ghosts.move_to_back(key)) {
      wanted_once_ = std::max(wanted_once_ - step(once_, again_), 0.0);
    }
  }

  void pinned(BlockHash key) override { list(*entries_.find(key)).idle.erase(key); }
  void unpinned(BlockHash key) override {
    Entry& entry = *entries_.find(key);
    entry.written = true;
    list(entry).idle.push_back(key);
  }
  void removed(BlockHash key) override {
    --list(*entries_.find(key)).size;
    entries_.erase(key);
  }

  std::optional<BlockHash> evict() override {
    const bool from_once =
        once_.size >= static_cast<std::int64_t>(wanted_once_) && !once_.idle.empty();
    // The list in excess first; the other one when all of it is pinned.
    List& chosen = from_once || again_.idle.empty() ? once_ : again_;
    if (chosen.idle.empty()) return std::nullopt;
    const BlockHash key = chosen.idle.pop_front();
    --chosen.size;
    entries_.erase(key);
    chosen.ghosts.push_back(key);
    if (chosen.ghosts.size() > capacity_) chosen.ghosts.pop_front();
    return key;
  }

 private:
  struct Entry {
    bool written = false;
    bool again = false;
  };
  struct List {
    std::int64_t size = 0;  // pinned ones too
    KeyList idle;           // unpinned entries, least recently used first
    KeyList ghosts;         // evicted lately, oldest first
  };

  List& list(const Entry& entry) { return entry.again ? again_ : once_; }
  void promote(Entry& entry, BlockHash key) {
    entry.again = true;
    --once_.size;
    ++again_.size;
    if (once_.idle.erase(key)) again_.idle.push_back(key);
  }
  static double step(const List& other, const List& hit) {
    return std::max(
        1.0, static_cast<double>(other.ghosts.size()) / static_cast<double>(hit.ghosts.size()));
  }

  std::int64_t capacity_;
  double wanted_once_ = 0;
  HashMap<Entry> entries_;
  List once_;
  List again_;
};

const Register<Eviction, AdaptiveReplacement> kRegistered(
    "arc", "Adaptive replacement: balances recent and frequent by what it lately lost.");

}  // namespace
}  // namespace kvsim
