// Whether a request's prompt is computed by a prefill replica, or by the decode replica itself
// (conditional disaggregation: spec/dynamo.md section 4, spec/llm_d.md section 8).
#pragma once

#include "sim/frontend/router.hpp"

namespace kvsim {

class Decider {
 public:
  static constexpr const char* kPlugin = "decider";
  struct Context {
    std::vector<ReplicaFacts> prefill;
    std::vector<ReplicaFacts> decode;
  };
  struct Question {
    const Ask& ask;
    std::int64_t hit_tokens = 0;  // cached on the decode replica, as its router believes
    std::int32_t decode = 0;      // chosen decode replica
    std::int32_t prefill = 0;     // prefill replica that would be chosen
    const ClusterView& prefill_view;
    const ClusterView& decode_view;
  };
  virtual ~Decider() = default;
  // True: the prefill replica computes the prompt.
  [[nodiscard]] virtual bool remote(const Question& question) = 0;
};

}  // namespace kvsim
