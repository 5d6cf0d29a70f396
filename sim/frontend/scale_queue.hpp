// The queueing model of llm-d's workload variant autoscaler (spec/llm_d.md section 10): one replica
// as an M/M/1/K queue whose service rate depends on how many it serves,
//
//   mu(n) = n / ( prefill(n) + (osl - 1) * itl(n) )      n = 1 .. N, and mu(N) beyond
//   prefill(n) = gamma + delta * isl * n                  itl(n) = alpha + beta * n
//
// N the largest batch, K = N + queue. What a request sees follows from the effective concurrency:
// the n whose service time is the mean service time of the queue. Source: the analyzer of its
// repository (2025), whose mean values, bounds and cases these are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

class ReplicaQueue {
 public:
  struct Service {
    Seconds alpha{0};  // itl = alpha + beta * batch
    Seconds beta{0};
    Seconds gamma{0};  // prefill = gamma + delta * tokens * batch
    Seconds delta{0};
  };
  struct Shape {
    Service service;
    double input_tokens = 0;   // mean of a prompt; 0 = decode only
    double output_tokens = 1;  // mean of an answer, >= 1; 1 = prefill only
    std::int64_t batch = 1;    // N
    std::int64_t queue = 0;    // K - N
  };
  explicit ReplicaQueue(const Shape& shape);

  struct State {
    double throughput_per_s = 0;
    Seconds wait{0};
    Seconds prefill{0};
    Seconds itl{0};
    double in_service = 0;
    [[nodiscard]] Seconds ttft() const { return wait + prefill; }
  };
  // At so many requests a second, > 0. O(K).
  [[nodiscard]] State at(double rate) const;
  // The most requests a second that it carries with a mean TTFT and ITL of at most these (0 = any);
  // nothing when not even an idle replica keeps them.
  [[nodiscard]] std::optional<double> most_rate(Seconds ttft, Seconds itl) const;
  [[nodiscard]] double least_rate() const;
  [[nodiscard]] double full_rate() const;

 private:
  [[nodiscard]] Seconds prefill(double batch) const;
  [[nodiscard]] Seconds itl(double batch) const;
  [[nodiscard]] double concurrency(Seconds service) const;

  Shape shape_;
  double decodes_;               // of a request
  std::vector<double> service_;  // requests a second with 1 .. N in service
};

}  // namespace kvsim
