// Predictions of studies of disks, for `kvsim validate`.
#pragma once

#include <vector>

#include "sim/validate/prediction.hpp"

namespace kvsim {

// Fills in what is predicted for the cases of templates of kind "disk" among `studies`; other
// predictions stay as they are. Simulates in this process: at most once. Throws ConfigError.
void predict_storage(const std::vector<Study>& studies, const std::vector<ValidationCase>& cases,
                     std::vector<Prediction>& predictions);

}  // namespace kvsim
