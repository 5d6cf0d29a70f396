// What a finished run left in its folder, read back: requests.csv and summary.json.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/counting.hpp"

namespace kvsim {

// The stages of the run in `folder` of `experiment`, in order; a run without stages is one, without
// a name. Throws TraceError for a file that is not what `kvsim run` writes.
[[nodiscard]] std::vector<StageOutcome> read_run(const std::string& folder, const Json& experiment);

}  // namespace kvsim
