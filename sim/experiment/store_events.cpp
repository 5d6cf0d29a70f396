#include "sim/experiment/store_events.hpp"

#include <algorithm>

namespace kvsim {

class StoreEvents::Teller final : public StoreListener {
 public:
  void add(BlockListener* listener) { listeners_.push_back(listener); }

  // A value is a rank's part of a chunk: the chunk counts as there with the first of them.
  void stored(const Command& put) override {
    if (put.content.name == 0) return;
    if (!names_.emplace(put.key, put.content.name).second) return;
    for (BlockListener* listener : listeners_) listener->cached(put.content.name);
  }
  void read(StoreKey) override {}
  void gone(StoreKey key) override {
    const auto at = names_.find(key);
    if (at == names_.end()) return;
    for (BlockListener* listener : listeners_) listener->evicted(at->second);
    names_.erase(at);
  }
  void cleared() override {
    for (const auto& [key, name] : names_)
      for (BlockListener* listener : listeners_) listener->evicted(name);
    names_.clear();
  }

 private:
  std::vector<BlockListener*> listeners_;
  std::map<StoreKey, BlockHash> names_;
};

StoreEvents::StoreEvents(Machines& machines, const std::vector<Replica*>& replicas) {
  for (const Machines::NamedStore& store : machines.stores()) {
    const std::vector<std::size_t> nodes = machines.nodes_that_ask(store.name);
    auto teller = std::make_unique<Teller>();
    bool heard = false;
    for (Replica* replica : replicas) {
      const auto node = static_cast<std::size_t>(replica->facts.node);
      if (replica->events == nullptr || std::find(nodes.begin(), nodes.end(), node) == nodes.end())
        continue;
      teller->add(replica->events->tier(kTier));
      heard = true;
    }
    if (!heard) continue;
    machines.store(store.name).add_listener(teller.get());
    tellers_.push_back(std::move(teller));
  }
}

StoreEvents::~StoreEvents() = default;

}  // namespace kvsim
