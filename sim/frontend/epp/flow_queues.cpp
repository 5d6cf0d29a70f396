#include "sim/frontend/epp/flow_queues.hpp"

#include <algorithm>
#include <functional>

#include "sim/base/check.hpp"

namespace kvsim {

FlowQueues::Band& FlowQueues::band(std::int32_t priority) {
  auto at = std::lower_bound(bands_.begin(), bands_.end(), priority,
                             [](const Band& band, std::int32_t p) { return band.priority < p; });
  if (at == bands_.end() || at->priority != priority) {
    at = bands_.insert(at, Band{});
    at->priority = priority;
  }
  return *at;
}

const FlowQueues::Band* FlowQueues::find(std::int32_t priority) const {
  for (const Band& band : bands_)
    if (band.priority == priority) return &band;
  return nullptr;
}

void FlowQueues::push(const Item& item) {
  KV_CHECK(!holds(item.number), "request {} is held already", item.number);
  Band& mine = band(item.priority);
  auto at = std::lower_bound(mine.flows.begin(), mine.flows.end(), item.flow,
                             [](const Flow& flow, std::int32_t f) { return flow.flow < f; });
  if (at == mine.flows.end() || at->flow != item.flow) {
    const auto index = static_cast<std::size_t>(at - mine.flows.begin());
    if (index < mine.turn) ++mine.turn;  // whose turn it was keeps it
    at = mine.flows.insert(at, Flow{});
    at->flow = item.flow;
  }
  at->heap.push_back({item.key, ++sequence_, item.number});
  std::push_heap(at->heap.begin(), at->heap.end(), std::greater<>());
  held_[key(item.number)] = {item.priority, item.bytes, sequence_};
  ++mine.held;
  mine.bytes += item.bytes;
}

void FlowQueues::drop_removed(Flow& flow) {
  while (!flow.heap.empty()) {
    const Entry& top = flow.heap.front();
    const Place* place = held_.find(key(top.number));
    if (place != nullptr && place->sequence == top.sequence) return;
    std::pop_heap(flow.heap.begin(), flow.heap.end(), std::greater<>());
    flow.heap.pop_back();
  }
}

FlowQueues::Flow* FlowQueues::choose(Band& band) {
  Flow* best = nullptr;
  const std::size_t flows = band.flows.size();
  for (std::size_t i = 0; i < flows; ++i) {
    const std::size_t at = round_robin_ ? (band.turn + i) % flows : i;
    Flow& flow = band.flows[at];
    drop_removed(flow);
    if (flow.heap.empty()) continue;
    if (round_robin_) {
      band.turn = (at + 1) % flows;
      return &flow;
    }
    if (best == nullptr || best->heap.front() > flow.heap.front()) best = &flow;
  }
  return best;
}

std::optional<std::int64_t> FlowQueues::pop() {
  for (Band& band : bands_) {
    if (band.held == 0) continue;
    Flow* flow = choose(band);
    KV_CHECK(flow != nullptr, "{} held of priority {}", band.held, band.priority);
    const std::int64_t number = flow->heap.front().number;
    forget(number);
    drop_removed(*flow);
    return number;
  }
  return std::nullopt;
}

bool FlowQueues::remove(std::int64_t number) {
  if (!holds(number)) return false;
  forget(number);
  return true;
}

void FlowQueues::forget(std::int64_t number) {
  const Place place = *held_.find(key(number));
  Band& mine = band(place.priority);
  --mine.held;
  mine.bytes -= place.bytes;
  held_.erase(key(number));
}

bool FlowQueues::any_up_to(std::int32_t priority) const {
  return std::any_of(bands_.begin(), bands_.end(),
                     [&](const Band& band) { return band.priority <= priority && band.held > 0; });
}

std::int64_t FlowQueues::band_bytes(std::int32_t priority) const {
  const Band* found = find(priority);
  return found == nullptr ? 0 : found->bytes;
}

}  // namespace kvsim
