// Kubernetes' stabilisation of a horizontal autoscaler (autoscaling/v2 defaults): a pool shrinks
// only to the largest number that was recommended within the window, so that a short lull costs no
// replicas; it grows at once, by at most twice or four more every 15 s.
//
// Leaves out: windows for growing, policies by name, and that a policy's period may differ from how
// often the autoscaler looks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/fields.hpp"

namespace kvsim {

struct StabiliseOptions {
  Seconds down_window{300};
  double up_percent = 100;
  std::int64_t up_replicas = 4;

  template <class F>
  void fields(F& f) {
    f.optional("scale_down_stabilisation_s", down_window, Range{0, 1e6},
               "A pool shrinks to the most that was recommended in this time.");
    f.optional("scale_up_percent", up_percent, Range{0, 1e6},
               "Growth at a time, of what there is; the larger of this and the next one holds.");
    f.optional("scale_up_replicas", up_replicas, Range{0, 1e6}, "Growth at a time, in replicas.");
  }
};

class Stabiliser {
 public:
  explicit Stabiliser(const StabiliseOptions& options) : options_(options) {}

  // What to have, when `recommended` is what the metric asks for and `current` what is wanted now.
  std::int64_t next(Seconds now, std::int64_t current, std::int64_t recommended) {
    if (recent_.empty()) recent_.push_back({now, current});
    std::erase_if(recent_, [&](const Entry& e) { return e.at <= now - options_.down_window; });
    recent_.push_back({now, recommended});
    if (recommended > current) return std::min(recommended, most(current));
    std::int64_t held = recommended;
    for (const Entry& entry : recent_) held = std::max(held, entry.replicas);
    return std::min(current, held);
  }

 private:
  struct Entry {
    Seconds at;
    std::int64_t replicas;
  };
  [[nodiscard]] std::int64_t most(std::int64_t current) const {
    const double by_percent = static_cast<double>(current) * options_.up_percent / 100;
    return current + std::max(options_.up_replicas, static_cast<std::int64_t>(by_percent));
  }

  StabiliseOptions options_;
  std::vector<Entry> recent_;
};

}  // namespace kvsim
