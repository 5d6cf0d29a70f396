// Runs side by side: a row for each variant of an experiment.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

struct VariantResult {
  std::string name;
  Json set;             // what makes it, by JSON pointer
  std::string summary;  // its file
  Json run;             // the content of that file; null for a run that failed
  std::string error;    // of a run that failed
};

// For people. Bytes on the network are those that leave a machine, counted once.
[[nodiscard]] std::string variant_table(const std::vector<VariantResult>& results);
// The same columns with their full digits, in SI units.
[[nodiscard]] std::string variant_csv(const std::vector<VariantResult>& results);
// And with what made each row, and where its summary lies.
[[nodiscard]] Json variant_json(const std::string& name, const std::vector<VariantResult>& results);

}  // namespace kvsim
