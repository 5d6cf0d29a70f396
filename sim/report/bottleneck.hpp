// What a run is limited by, found from where its time goes: under a closed loop with loads inside
// steps the GPU and the client of a store take turns, and neither is busy all the time.
//
//   resource     the one that limits; null when nothing did anything
//   utilisation  its own
//   reason       a sentence: busy all the time, or how engines divide their time
//   free         what --what-if makes free to see how much it limits; null when that cannot be
//   share        what that gains in throughput; null without --what-if
#pragma once

#include "sim/base/json.hpp"
#include "sim/report/run_facts.hpp"

namespace kvsim {

// `ttft_parts` is the summary's ttft_breakdown_s.
[[nodiscard]] Json find_bottleneck(const RunFacts& facts, const Json& ttft_parts);

// Engine time that waits took, of `engines` engines over the whole run; for the summary.
[[nodiscard]] Json step_waits_json(const RunFacts& facts);

}  // namespace kvsim
