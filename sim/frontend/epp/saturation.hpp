// When llm-d takes its replicas for saturated (spec/llm_d.md section 7).
//
//   utilization   mean over replicas of max(waiting / 5, kv_usage / 0.8); a replica whose gauges
//                 are too old counts 1
//   concurrency   mean over replicas of the picker's own requests (or tokens) in flight / bound
//
// Saturated at 1 and above. Replicas that are not ready do not count; without any: saturated.
#pragma once

#include <string>

#include "sim/base/fields.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {

struct SaturationOptions {
  std::string detector = "utilization";
  double queue_depth = 5;
  double kv_usage = 0.8;
  Seconds stale{0.2};
  std::string mode = "requests";
  double max_requests = 100;
  double max_tokens = 1e6;

  template <class F>
  void fields(F& f) {
    f.choice("detector", detector, {"utilization", "concurrency"},
             "By scraped gauges, or by what the picker has in flight.");
    f.optional("queue_depth", queue_depth, Range{1e-9, 1e9},
               "utilization: requests waiting on a full replica.");
    f.optional("kv_usage", kv_usage, Range{1e-9, 1}, "utilization: KV in use on a full replica.");
    f.optional("stale_s", stale, Range{0, 1e6},
               "utilization: older gauges mean a full replica; 0 = never.");
    f.choice("concurrency_mode", mode, {"requests", "tokens"}, "concurrency: what is counted.");
    f.optional("max_requests", max_requests, Range{1, 1e9},
               "concurrency: requests in flight on a full replica.");
    f.optional("max_tokens", max_tokens, Range{1, 1e15},
               "concurrency: prompt tokens in flight on a full replica.");
  }
};

class Saturation {
 public:
  explicit Saturation(const SaturationOptions& options)
      : options_(options),
        by_gauges_(options.detector == "utilization"),
        by_requests_(options.mode == "requests") {}

  [[nodiscard]] bool needs_gauges() const { return by_gauges_; }
  // O(replicas).
  [[nodiscard]] double of(const ClusterView& view) const;
  [[nodiscard]] bool saturated(const ClusterView& view) const { return of(view) >= 1.0; }

 private:
  [[nodiscard]] double of(const ReplicaView& replica, Seconds now) const;
  SaturationOptions options_;
  bool by_gauges_;
  bool by_requests_;
};

}  // namespace kvsim
