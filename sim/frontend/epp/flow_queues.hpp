// The queues of llm-d's flow controller (spec/llm_d.md section 7): priority bands, in each a queue
// for every flow (tenant). Bands are served in strict order; between the flows of a band the head
// that comes first in the ordering wins (global-strict), or each flow in turn (round-robin).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {

class FlowQueues {
 public:
  struct Item {
    std::int64_t number = 0;
    std::int32_t priority = 0;  // lower is served first
    std::int32_t flow = 0;
    double key = 0;  // within a band, lower first; equals in order of arrival
    std::int64_t bytes = 0;
  };
  explicit FlowQueues(bool round_robin) : round_robin_(round_robin) {}

  void push(const Item& item);
  // Takes out the one to serve. O(flows of its band + log of its queue).
  [[nodiscard]] std::optional<std::int64_t> pop();
  // False when it is not held.
  bool remove(std::int64_t number);
  [[nodiscard]] bool holds(std::int64_t number) const { return held_.find(key(number)) != nullptr; }

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(held_.size()); }
  // Held of this priority, or of one that is served before.
  [[nodiscard]] bool any_up_to(std::int32_t priority) const;
  [[nodiscard]] std::int64_t band_bytes(std::int32_t priority) const;

 private:
  struct Entry {
    double key;
    std::int64_t sequence;
    std::int64_t number;
    bool operator>(const Entry& other) const {
      return key != other.key ? key > other.key : sequence > other.sequence;
    }
  };
  struct Flow {
    std::int32_t flow = 0;
    std::vector<Entry> heap;  // removed ones stay until they come to the top
  };
  struct Band {
    std::int32_t priority = 0;
    std::vector<Flow> flows;  // by flow
    std::int64_t held = 0;
    std::int64_t bytes = 0;
    std::size_t turn = 0;
  };
  struct Place {
    std::int32_t priority = 0;
    std::int64_t bytes = 0;
    std::int64_t sequence = 0;
  };
  static BlockHash key(std::int64_t number) {
    return static_cast<BlockHash>(number) + 1;  // 0 is no key
  }
  Band& band(std::int32_t priority);
  [[nodiscard]] const Band* find(std::int32_t priority) const;
  void drop_removed(Flow& flow);
  Flow* choose(Band& band);
  void forget(std::int64_t number);

  bool round_robin_;
  std::vector<Band> bands_;  // by priority
  HashMap<Place> held_;
  std::int64_t sequence_ = 0;
};

}  // namespace kvsim
