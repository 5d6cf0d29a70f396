// What is known of a request once it has ended, as the client saw it. Times are simulated seconds
// from the start of the run.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

enum class Outcome : std::uint8_t {
  kCompleted,
  kRefused,     // can never fit, or admission said no
  kFailed,      // a component failed it
  kTimedOut,    // the client gave up
  kUnfinished,  // in flight when the run ended, or when its stage did
};

struct RequestRecord {
  std::int64_t id = 0;
  std::int64_t session = -1;
  std::int32_t turn = 0;
  std::int32_t replica = -1;
  std::int32_t stage = 0;  // of the experiment, which sent it; 0 without stages
  Outcome outcome = Outcome::kCompleted;
  std::int32_t preemptions = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;  // generated until it ended
  // Prompt tokens that were not computed, by tier: index into Recorder's tier names (0 = HBM).
  std::array<std::int64_t, 4> hit_tokens{};
  Seconds intended{0};      // arrival that the workload or the arrival process asked for
  Seconds sent{0};          // the client really sent it (later than intended under a closed loop)
  Seconds first_token{-1};  // the client received it; < 0 when none came
  Seconds ended{0};         // last token, refusal, time-out or end of the run or stage
  // Parts of the time to first token; they add up to first_token - sent.
  Seconds queue{0};   // from the engine's receipt to its first scheduling, fetches excluded
  Seconds lookup{0};  // asking lower tiers
  Seconds fetch{0};   // waiting for KV from lower tiers
  // ... by stage: index into RunFacts::fetch_stages; adds up to fetch.
  std::array<Seconds, 6> fetch_stages{};
  Seconds prefill{0};  // steps from first scheduling to the first token
  Seconds other{0};    // API server, tokeniser, network, detokeniser
};

}  // namespace kvsim
