// How many replicas each pool should have. Decides on what a monitoring system would show; bringing
// replicas up (pod, weights, cold cache) and draining them is the frontend's (fleet.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/frontend/router.hpp"

namespace kvsim {

// Of a pool over the time since the last decision, as scraped.
struct PoolMetrics {
  std::string name;
  Role role = Role::kAggregated;
  std::int64_t gpus_per_replica = 1;
  std::int64_t ready = 0;     // replicas that take requests
  std::int64_t starting = 0;  // wanted, not there yet
  std::int64_t draining = 0;
  std::int64_t least = 1;  // configured bounds
  std::int64_t most = 1;
  std::int64_t max_batched_tokens = 0;
  std::int64_t max_num_seqs = 0;  // 0 = not stated
  std::int64_t max_model_len = 0;
  std::int64_t kv_tokens = 0;  // that one replica's HBM holds
  // Requests of the interval, as the frontend counts them: the prefill and the decode pool of one
  // LLM are told the same (a decode pool's mean_ttft is the client's).
  Seconds interval{0};
  std::int64_t arrived = 0;
  double mean_input_tokens = 0;   // of those that arrived
  double mean_output_tokens = 0;  // of those that ended
  Seconds mean_ttft{0};           // of those whose first token came; 0 = none
  Seconds mean_itl{0};
  // Now, one entry for each ready replica.
  struct Replica {
    std::int64_t running = 0;
    std::int64_t waiting = 0;
    double kv_usage = 0;
    std::int64_t queued_prefill_tokens = 0;  // prompts without a first token
    std::int64_t queued_decode_tokens = 0;   // KV of requests that wait
    Seconds recent_ttft{0};  // estimate for a request that comes now; 0 = none known
    Seconds recent_itl{0};
  };
  std::vector<Replica> replicas;
};

class Autoscaler {
 public:
  static constexpr const char* kPlugin = "autoscaler";
  struct Context {
    std::uint64_t seed = 1;
    // What profiling of the deployment has shown, by pool (index as in decide()). Those that are
    // missing or empty: not profiled.
    struct Profile {
      // A prompt of so many tokens alone.
      std::function<Seconds(std::int64_t tokens)> prefill;
      // A decode step of so many sequences with so many tokens of context in all.
      std::function<Seconds(std::int64_t sequences, std::int64_t context)> decode;
    };
    std::vector<Profile> profiles;
  };
  virtual ~Autoscaler() = default;
  // Time until decide() is called next; > 0.
  [[nodiscard]] virtual Seconds period() const = 0;
  // The wanted number of replicas for each pool, clamped to its bounds by the caller. `wanted`
  // holds what was wanted so far.
  virtual void decide(Seconds now, std::span<const PoolMetrics> pools,
                      std::span<std::int64_t> wanted) = 0;
};

}  // namespace kvsim
