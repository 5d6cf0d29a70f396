// KV events of one engine on their way to routers: stored and removed blocks by tier.
//
//   cache changes -> collected until the step ends -> published -> network -> applied by an index
//
// A log is appended to and read in order of time, by one reader; what it has read is dropped.
// Sources: spec/dynamo.md section 2, spec/llm_d.md section 6.
//
// A batch may be lost. The next one that arrives shows the gap; then the publisher, which keeps its
// latest batches, is asked for it, and what has arrived is applied after what was missing. Left
// out: the bytes on the wire, queues at a router that cannot keep up, replays that are lost too.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/base/rng.hpp"
#include "sim/kv/block_listener.hpp"

namespace kvsim {

struct KvEventOptions {
  Seconds publish{0.5e-3};
  Seconds network{0.5e-3};
  Seconds apply{1e-3};
  double loss = 0;
  std::int64_t replay_batches = 10'000;
  Seconds replay{10e-3};

  template <class F>
  void fields(F& f) {
    f.optional("publish_s", publish, Range{0, 60},
               "From the end of the step to the wire: serialising. Default: assumed.");
    f.optional("network_s", network, Range{0, 60}, "To the router. Default: assumed.");
    f.optional("apply_s", apply, Range{0, 60},
               "From arrival until lookups see it: queue and update. Default: assumed.");
    f.optional("loss", loss, Range{0, 1}, "Share of batches that do not arrive.");
    f.optional(
        "replay_batches", replay_batches, Range{0, 1e9},
        "Batches that a publisher keeps: a gap is filled from them when the next batch shows "
        "it; 0 = never.");
    f.optional("replay_s", replay, Range{0, 60}, "Asking for and getting a replay.");
  }
};

struct KvEvent {
  enum class Kind : std::uint8_t { kStored, kRemoved, kCleared };
  Seconds at;  // visible in an index from then on
  BlockHash hash;
  std::uint8_t tier;
  Kind kind;
};

class KvEventLog {
 public:
  KvEventLog(const KvEventOptions& options, std::uint64_t seed, std::int32_t replica);
  ~KvEventLog();

  // Whom a tier's cache tells (BlockPool::add_listener, Connector::add_listener). Owned here.
  [[nodiscard]] BlockListener* tier(std::size_t tier);
  // Called before reading, and before a change below HBM is collected, which may come between two
  // steps: steps that have ended by now are to be told first (Engine::set_events sets it).
  void set_catch_up(std::function<void()> catch_up) { catch_up_ = std::move(catch_up); }
  void catch_up() {
    if (catch_up_) catch_up_();
  }
  // All content of the replica is gone; published like anything else. What has not been published
  // or was lost on the way will not be: it is void.
  void cleared();
  // The engine's step has ended: what has been collected is published. Nondecreasing times.
  void step_ended(Seconds now) {
    if (!collected_.empty()) publish(now);
  }
  // Of tiers that change between steps too.
  [[nodiscard]] bool collecting() const { return !collected_.empty(); }

  // Reading, by one reader: the front, if it is visible by now; pop() when it has been applied.
  [[nodiscard]] const KvEvent* front(Seconds now) const {
    return front_at_ > now ? nullptr : &events_[read_];
  }
  void pop() { consume(1); }
  // The same for all that is visible by now, oldest first. O(their number).
  [[nodiscard]] std::span<const KvEvent> visible(Seconds now) const;
  void consume(std::size_t count);

  [[nodiscard]] std::int64_t batches() const { return batches_; }
  [[nodiscard]] std::int64_t lost_batches() const { return lost_batches_; }  // for good

 private:
  class Tier;
  struct Batch {
    std::int64_t number;  // of all published, from 1
    std::vector<KvEvent> events;
  };
  void publish(Seconds now);
  // What is still kept of the batches before this one that did not arrive; true when there is any.
  bool replay_missing(Seconds at);
  void append(std::span<const KvEvent> events, Seconds at);

  Seconds front_at_;  // when events_[read_] is visible; endless without one
  std::size_t read_ = 0;
  std::vector<KvEvent> events_;  // those before read_ have been read
  KvEventOptions options_;
  Rng rng_;
  std::vector<std::unique_ptr<Tier>> tiers_;
  std::function<void()> catch_up_;
  std::vector<KvEvent> collected_;
  std::deque<Batch> missing_;  // batches lost, until a later one shows the gap
  Seconds last_{0};
  std::int64_t batches_ = 0;
  std::int64_t lost_batches_ = 0;
};

}  // namespace kvsim
