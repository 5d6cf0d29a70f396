// What a run gains when a part of it costs no time: which parts are worth trying, and how two
// summaries compare. `kvsim run --what-if` runs them.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

struct WhatIf {
  std::string free;                    // "client", "api", ...; or a mechanism, "async-loading"
  std::vector<std::string> overrides;  // of the experiment: /json/pointer=value
};

// Kinds of resources that the run used and could be free, and mechanisms that its connector could
// have on. `resolved` is the experiment with every default.
[[nodiscard]] std::vector<WhatIf> what_ifs(const Json& resolved, const Json& summary);

// Relative gains, 0.5 = half more: throughput_gain of output tokens per second, ttft_gain the part
// of the mean time to first token that goes away, tokens_per_user_gain of an answer's rate.
[[nodiscard]] Json what_if_gain(const std::string& free, const Json& before, const Json& after);

// Adds `what_if` to a summary, and its bottleneck's share.
void add_what_if(Json gains, Json& summary);

}  // namespace kvsim
