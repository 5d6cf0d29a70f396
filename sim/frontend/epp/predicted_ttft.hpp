// The time to first token that filters expect of a replica. Stands for llm-d's latency predictor, a
// model learned beside the picker that is not built here: the prompts without a first token that
// this frontend has sent there, and the uncached part of this one, at the replica's prefill rate.
// Decoding, and what other frontends send, are left out.
#pragma once

#include "sim/frontend/epp/plugin.hpp"

namespace kvsim {

// 0 when the replica's rate is not known.
[[nodiscard]] inline Seconds predicted_ttft(const EppCycle& cycle, std::int32_t replica,
                                            double prefill_tokens_per_s) {
  if (prefill_tokens_per_s <= 0) return Seconds(0);
  const double uncached =
      static_cast<double>(cycle.ask.input_tokens) * (1.0 - cycle.prefix(replica));
  const double before = static_cast<double>(cycle.replica(replica).prefill_tokens);
  return Seconds((before + uncached) / prefill_tokens_per_s);
}

}  // namespace kvsim
