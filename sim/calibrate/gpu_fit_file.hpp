// GPU profiles as files: fitted coefficients put into the JSON of a profile, in the layout that the
// files of models/gpu have (blocks indented, provenance and list entries on one line each).
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

// The blocks a fit can give, by their key in the file.
const std::vector<std::string>& fitted_blocks();

// The coefficients of a block, without its provenance, rounded to four digits (rates to whole
// numbers): what a file holds. Null when the profile has no such block.
Json block_coefficients(const GpuProfile& profile, const std::string& block);

// Puts them into the JSON of a file. Keys that the file lacks are added unless they hold the
// default; without a provenance the file's stays.
void set_block(Json& file, const std::string& block, const Json& coefficients,
               const Provenance* provenance);

// One coefficient that a file holds and a rebuild does not give.
struct Drift {
  std::string path;  // "gemm_bf16/launch_s"
  double in_file = 0;
  double rebuilt = 0;
};
// Coefficients that differ by more than `share` of the file's value (launches: or 10 ns).
std::vector<Drift> drift_of(const Json& file, const std::string& block, const Json& coefficients,
                            double share);

std::string profile_text(const Json& file);

}  // namespace kvsim
