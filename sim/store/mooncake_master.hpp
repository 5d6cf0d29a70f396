// What Mooncake's master knows: objects, their replicas in memory segments, leases, what to evict.
// No time passes here; who calls says what time it is.
//
// Source: spec/mooncake.md section 2 and 6 (kvcache-ai/Mooncake 3b5a5941). Objects are immutable. A
// get or exists grants a lease, during which an object is neither evicted nor removed. Eviction
// takes a share of all objects, those first whose leases ended first.
// Left out: soft and hard pins, groups, incomplete puts of clients that died, snapshots, the choice
// of preferred segments.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

class MooncakeMaster {
 public:
  struct Options {
    std::int64_t segments = 1;
    Bytes segment{0};
    std::int64_t replicas = 1;
    Seconds lease{10};
    double high_watermark = 0.90;
    double eviction_ratio = 0.05;
    double allocation_overhead = 0.03;
  };
  struct Object {
    Bytes bytes{0};
    bool complete = false;
    bool in_memory = true;
    bool on_disk = false;
    bool offloading = false;
    Seconds lease_end{0};
    std::uint64_t sequence = 0;
    std::vector<std::uint32_t> segments;  // of its replicas
  };

  MooncakeMaster(const Options& options, Rng rng) : options_(options), rng_(rng) {
    used_.assign(static_cast<std::size_t>(options.segments), Bytes(0));
  }

  // nullptr when it is not there; incomplete ones are not.
  [[nodiscard]] const Object* find(StoreKey key) const;
  // One that is being put counts.
  [[nodiscard]] bool known(StoreKey key) const { return objects_.contains(key); }
  void grant_lease(StoreKey key, Seconds now);
  // Allocates all replicas, in different segments; false, and nothing is taken, without room.
  [[nodiscard]] bool put_start(StoreKey key, Bytes bytes);
  void put_end(StoreKey key, Seconds now);
  void put_revoke(StoreKey key) { erase(key); }
  void erase(StoreKey key);
  // Its copy on a disk is all that is left.
  void leave_memory(StoreKey key);
  void set_on_disk(StoreKey key) { objects_.at(key).on_disk = true; }
  // On its way to a disk: counts as gone for the watermark.
  void set_offloading(StoreKey key);
  void clear();

  [[nodiscard]] bool above_watermark() const {
    return (used_all_ - leaving_).real() >= options_.high_watermark * capacity().real();
  }
  // Which to evict now, in order; none when all have a lease.
  [[nodiscard]] std::vector<StoreKey> victims(Seconds now) const;
  // When the next lease ends of what is in memory.
  [[nodiscard]] std::optional<Seconds> next_lease_end() const;

  [[nodiscard]] Bytes used() const { return used_all_; }
  [[nodiscard]] Bytes capacity() const { return options_.segment * options_.segments; }
  [[nodiscard]] Bytes live() const { return live_; }

 private:
  struct Age {
    Seconds lease_end;
    std::uint64_t sequence;
    StoreKey key;
    auto operator<=>(const Age&) const = default;
  };
  [[nodiscard]] Bytes allocated(Bytes bytes) const;
  void free_memory(Object& object);

  Options options_;
  Rng rng_;
  std::vector<Bytes> used_;  // by segment
  Bytes used_all_{0};
  Bytes leaving_{0};  // of these, on their way to a disk
  Bytes live_{0};
  std::unordered_map<StoreKey, Object> objects_;
  std::set<Age> ages_;  // of complete objects in memory that are not on their way to a disk
  std::uint64_t sequence_ = 0;
};

}  // namespace kvsim
