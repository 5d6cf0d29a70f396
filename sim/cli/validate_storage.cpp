#include "sim/cli/validate_storage.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/errors.hpp"
#include "sim/validate/storage_study.hpp"

namespace kvsim {

void predict_storage(const std::vector<Study>& studies, const std::vector<ValidationCase>& cases,
                     std::vector<Prediction>& predictions) {
  const Study* of_disks = nullptr;
  for (const Study& study : studies) {
    if (study.kind() != "disk") continue;
    if (of_disks != nullptr)
      throw ConfigError(
          fmt::format("{}: found a second template of kind \"disk\"; allowed: one", study.file()));
    of_disks = &study;
  }
  if (of_disks == nullptr) return;
  std::vector<const ValidationCase*> rows;
  for (const Prediction& prediction : predictions) {
    const ValidationCase* const row = &cases[prediction.of_case];
    if (of_disks->serves(row->study()) && std::find(rows.begin(), rows.end(), row) == rows.end())
      rows.push_back(row);
  }
  const StorageStudy study(of_disks->json(), of_disks->file(), rows);
  for (Prediction& prediction : predictions) {
    const ValidationCase& row = cases[prediction.of_case];
    if (!of_disks->serves(row.study())) continue;
    prediction.predicted =
        study.measure(row.id(), prediction.metric, prediction.stat, prediction.unit);
  }
}

}  // namespace kvsim
