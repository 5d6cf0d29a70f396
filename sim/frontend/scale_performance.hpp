// How fast an engine is, as Dynamo's planner models it: the time of one forward pass is linear in
// the prompt tokens that it computes and in the tokens of KV that its decodes read
// (spec/dynamo.md section 6; prefill engines have only the first, decode engines only the second).
//
// The real one fits to passes it has seen and, before, to benchmarked ones; here to what profiling
// says at the present mean lengths. Passes that mix both kinds are not profiled: a plane through
// passes of either kind stands for them.
#pragma once

#include "sim/frontend/autoscaler.hpp"
#include "sim/frontend/scale_fit.hpp"

namespace kvsim {

class EnginePerformance {
 public:
  // Mean lengths of the requests: input > 0. `profile` must answer for what `pool` does.
  EnginePerformance(const Autoscaler::Context::Profile& profile, const PoolMetrics& pool,
                    double input, double output);

  // Of one more request, behind so many prompt tokens, beside so many tokens of KV.
  [[nodiscard]] Seconds ttft(double queued_tokens, double decode_tokens) const;
  // With one more request beside those that decode.
  [[nodiscard]] Seconds itl(double decode_tokens) const;

  // Requests a second of one engine that keep the bounds; when one request alone breaks them, what
  // comes out nevertheless.
  struct Rate {
    double requests_per_s = 0;
    Seconds ttft{0};
    Seconds itl{0};
  };
  [[nodiscard]] Rate prefill_rate() const;
  [[nodiscard]] Rate decode_rate(Seconds most_itl) const;
  [[nodiscard]] Rate aggregated_rate(Seconds most_ttft, Seconds most_itl) const;

 private:
  [[nodiscard]] Seconds pass(double prompt_tokens, double decode_tokens) const;
  // Prompt tokens in passes of at most the engine's budget.
  [[nodiscard]] Seconds passes(double prompt_tokens, double decode_tokens) const;
  [[nodiscard]] std::int64_t most_sequences() const;

  double input_;
  double output_;
  double context_;  // mean of a sequence that decodes
  double budget_;   // tokens of a pass
  double kv_tokens_;
  std::int64_t max_num_seqs_;
  Plane plane_;
};

}  // namespace kvsim
